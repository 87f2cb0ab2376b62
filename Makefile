# SPDX-License-Identifier: GPL-2.0-or-later

NAME := vdsm-hook-vmfex
VERSION := $(shell sed -n 's/^Version: *//p' $(NAME).spec)

prefix := /usr
libexecdir := $(prefix)/libexec
hooksdir := $(libexecdir)/vdsm/hooks

PYTHON ?= /usr/bin/python3
# How many files of tests run side by side: they wait more than they work.
JOBS := $(shell echo $$(($$(nproc) + 1)))
HOOKS := $(wildcard hooks/*/50_vmfex)
DIST := $(NAME)-$(VERSION).tar.gz
# Only EL's rpm knows what is installed.
RPMBUILD_FLAGS := $(if $(wildcard /etc/debian_version),--nodeps)

.PHONY: help install uninstall dist rpm check unit vic check-on demo lab bench lint clean deps needs

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F: '{printf "make %-13s%s\n", $$1, $$2}'

install: ## install the hook, below DESTDIR
	for hook in $(HOOKS); do \
	    install -d "$(DESTDIR)$(hooksdir)/$$(basename $$(dirname $$hook))" && \
	    cp -P --remove-destination $$hook "$(DESTDIR)$(hooksdir)/$${hook#hooks/}" || exit 1; \
	done
	chmod 755 "$(DESTDIR)$(hooksdir)/before_vm_start/50_vmfex"
	install -d "$(DESTDIR)$(hooksdir)/vmfex"
	install -m 644 hooks/vmfex/*.py "$(DESTDIR)$(hooksdir)/vmfex"

uninstall: ## remove the installed hook, below DESTDIR
	for hook in $(HOOKS); do rm -f "$(DESTDIR)$(hooksdir)/$${hook#hooks/}"; done
	rm -rf "$(DESTDIR)$(hooksdir)/vmfex"

dist: ## make the source archive, for both RPMs
	git archive --prefix=$(NAME)-$(VERSION)/ -o $(DIST) HEAD

rpm: dist ## build the RPMs, in rpmbuild/RPMS and rpmbuild/SRPMS
	rpmbuild $(RPMBUILD_FLAGS) --define '_topdir $(CURDIR)/rpmbuild' \
	    --define '_sourcedir $(CURDIR)' -ba $(NAME).spec
	$(MAKE) -C libvirtd rpm

# Only make deps changes the machine, so that whoever tries make check on their own is told first.
deps: ## install what make check needs or, with FOR=vic, make vic, as root
	@tests/deps install $(FOR)

check: export VMFEX_MESSAGES_SEEN := $(CURDIR)/build/messages-seen
check: needs lint ## run all tests but those of make vic, as root
	@rm -f $(VMFEX_MESSAGES_SEEN)
	$(PYTHON) -m pytest -n $(JOBS) --dist loadfile
	@$(PYTHON) -m tests.messages

unit: ## run the tests that need neither root nor libvirt, in seconds; installs nothing
	@$(PYTHON) -c 'import pytest' 2>/dev/null || \
	    { echo "make unit: pytest is missing, install python3-pytest"; exit 1; } >&2
	$(PYTHON) -m pytest tests/unit

vic: ## run VMs on the real enic driver, which needs QEMU 10.1, and libvirtd under SELinux, as root
	@[ "$$(id -u)" -eq 0 ] || { echo "make vic: run this as root" >&2; exit 1; }
	@tests/deps missing vic
	$(PYTHON) -m pytest tests/vic

check-on: ## run make check and make vic in a tree of another Debian release: make check-on SUITE=trixie
	@exec tests/check-on "$(SUITE)"

demo: ## show the hook at work on a sample VM and an example host, as root
	@$(PYTHON) -c 'import libvirt' 2>/dev/null || \
	    { echo "make demo: libvirt's Python binding is missing, install python3-libvirt" >&2; exit 1; }
	@unshare --mount $(PYTHON) -m tests.demo

lab: needs ## give a Python prompt in a running lab of two hosts on a fabric, as root; KIND=vfs: SR-IOV hosts
	@$(PYTHON) -m tests.lab.prompt

bench: needs ## measure what the hook costs, as root
	@$(PYTHON) -m tests.bench

lint: build/venv ## check the style
	build/venv/bin/ruff check .
	build/venv/bin/ruff format --check .
	@command -v shellcheck >/dev/null || { echo "make lint: shellcheck is missing, install it" >&2; exit 1; }
	shellcheck engine/define-vmfex tests/deps tests/check-on .ci/run
	build/venv/bin/vermin --quiet --no-tips --target=3.6- --violations hooks/before_vm_start/50_vmfex hooks/vmfex

clean: ## remove what was built
	$(MAKE) -C libvirtd clean
	rm -rf build rpmbuild dist *.egg-info $(NAME)-*.tar.gz .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

needs:
	@tests/deps missing

build/venv:
	@mkdir -p build
	@$(PYTHON) -m venv build/venv || { rm -rf build/venv; echo "install python3-venv" >&2; exit 1; }
	build/venv/bin/pip --quiet --disable-pip-version-check install ruff==0.17.5 vermin==1.9.2
