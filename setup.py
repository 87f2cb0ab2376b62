# SPDX-License-Identifier: GPL-2.0-or-later

import glob
import os
import re

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as f:
        return f.read()


def of_spec(tag):
    return re.search(f'^{tag}: *(.*)', read('vdsm-hook-vmfex.spec'), re.MULTILINE).group(1)


os.chdir(HERE)
setup(
    name='vdsm-hook-vmfex',
    url=of_spec('URL'),
    version=of_spec('Version'),
    description="VDSM hook that puts a VM's NICs on Cisco VM-FEX",
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='GPL-2.0-or-later',
    python_requires='>=3.6',
    install_requires=['libvirt-python'],
    packages=[],
    py_modules=[],
    # Links become copies; the hook goes by the folder that it is called in, and finds the modules beside it.
    data_files=[
        (
            os.path.join('libexec', 'vdsm', folder),
            glob.glob(folder + '/50_vmfex') + glob.glob(folder + '/*.py'),
        )
        for folder in glob.glob('hooks/*')
    ],
)
