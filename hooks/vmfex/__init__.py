# SPDX-License-Identifier: GPL-2.0-or-later
"""The modules of the hook before_vm_start/50_vmfex; it calls command_line.run or hook_points.run."""
