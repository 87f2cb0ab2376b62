# SPDX-License-Identifier: GPL-2.0-or-later

NAME := vdsm-hook-vmfex
VERSION := $(shell sed -n 's/^Version: *//p' $(NAME).spec)

prefix := /usr
libexecdir := $(prefix)/libexec
hooksdir := $(libexecdir)/vdsm/hooks
# A standard folder, that of libnl: ld.so has to find the library by its bare name.
libdir = $(shell pkg-config --variable=libdir libnl-3.0)
unitdir := $(prefix)/lib/systemd/system

PYTHON := /usr/bin/python3
# How many files of tests run side by side: they wait more than they work.
JOBS := $(shell echo $$(($$(nproc) + 1)))
CFLAGS ?= -O2 -g
LIBRARY := build/libvmfex-port-profile.so
UNITS := libvirtd virtqemud
HOOKS := $(wildcard hooks/*/50_vmfex)
DIST := $(NAME)-$(VERSION).tar.gz
# Only EL's rpm knows what is installed; Debian's has no packages in its database, and may lack file(1),
# without which a package with debugging information fails.
RPMBUILD_FLAGS := $(if $(wildcard /etc/debian_version),--nodeps --define 'debug_package %{nil}')

.PHONY: help install uninstall port-profile install-port-profile uninstall-port-profile dist rpm check unit vic check-on demo lab bench lint clean deps

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F: '{printf "make %-23s%s\n", $$1, $$2}'

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

port-profile: $(LIBRARY) ## build the library for libvirtd; needs gcc, pkg-config and libnl's headers

$(LIBRARY): libvirtd/port_profile.c
	@mkdir -p $(dir $@)
	$(CC) -Wall -Wextra $(CFLAGS) $$(pkg-config --cflags libnl-3.0) -fPIC -shared $(LDFLAGS) -o $@ $< \
	    $$(pkg-config --libs libnl-3.0) -ldl

# Under SELinux, ld.so preloads nothing without the set-user-ID bit. Nobody can run it: no run bit.
install-port-profile: $(LIBRARY) ## install the library and libvirtd's drop-ins, below DESTDIR
	install -D -m 4644 $(LIBRARY) "$(DESTDIR)$(libdir)/$(notdir $(LIBRARY))"
	for unit in $(UNITS); do \
	    install -D -m 644 libvirtd/50-vmfex.conf "$(DESTDIR)$(unitdir)/$$unit.service.d/50-vmfex.conf" || exit 1; \
	done

uninstall-port-profile: ## remove what install-port-profile brought, below DESTDIR
	for unit in $(UNITS); do rm -f "$(DESTDIR)$(unitdir)/$$unit.service.d/50-vmfex.conf"; done
	rm -f "$(DESTDIR)$(libdir)/$(notdir $(LIBRARY))"

dist: ## make the source archive
	git archive --prefix=$(NAME)-$(VERSION)/ -o $(DIST) HEAD

rpm: dist ## build the RPMs in rpmbuild/RPMS and rpmbuild/SRPMS
	rpmbuild $(RPMBUILD_FLAGS) --define '_topdir $(CURDIR)/rpmbuild' -ta $(DIST)

check: deps lint ## run all tests but those of make vic, as root; installs what they need
	$(PYTHON) -m pytest -n $(JOBS) --dist loadfile --all-messages

unit: ## run the tests that need neither root nor libvirt, in seconds; installs nothing
	@$(PYTHON) -c 'import pytest' 2>/dev/null || \
	    { echo "make unit: pytest is missing, install python3-pytest"; exit 1; } >&2
	$(PYTHON) -m pytest tests/unit

vic: ## run VMs on the real enic driver and an emulated VIC, as root; needs QEMU 10.1
	@[ "$$(id -u)" -eq 0 ] || { echo "make vic: run this as root" >&2; exit 1; }
	@tests/install-deps vic
	$(PYTHON) -m pytest tests/vic

check-on: ## run make check and make vic in a tree of another Debian release: make check-on SUITE=trixie
	@exec tests/check-on "$(SUITE)"

demo: ## show the hook at work on a sample VM and an example host, as root
	@tests/install-deps demo
	@unshare --mount $(PYTHON) -m tests.demo

lab: deps ## give a Python prompt in a running lab of two hosts on a fabric, as root; KIND=vfs: SR-IOV hosts
	@$(PYTHON) -m tests.lab.prompt

bench: deps ## measure what the hook costs, as root
	@$(PYTHON) -m tests.bench

lint: build/venv ## check the style
	build/venv/bin/ruff check .
	build/venv/bin/ruff format --check .
	@command -v shellcheck >/dev/null || { echo "make lint: shellcheck is missing, install it" >&2; exit 1; }
	shellcheck engine/define-vmfex tests/install-deps tests/check-on .ci/run
	build/venv/bin/vermin --quiet --no-tips --target=3.6- --violations hooks/before_vm_start/50_vmfex hooks/vmfex

clean: ## remove what was built
	rm -rf build rpmbuild dist *.egg-info $(NAME)-*.tar.gz .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

deps:
	@tests/install-deps

build/venv:
	@mkdir -p build
	@$(PYTHON) -m venv build/venv || { rm -rf build/venv; echo "install python3-venv" >&2; exit 1; }
	build/venv/bin/pip --quiet --disable-pip-version-check install ruff==0.17.5 vermin==1.9.2
