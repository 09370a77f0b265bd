"""A build backend that builds nothing and runs nothing of the package.

`pip download` of a source archive always asks the build backend for the package's metadata, and setuptools answers by
running the package's own setup.py. We want the data in the archive, not its code: so dataset.py puts this folder first
on PYTHONPATH, switches build isolation off, and pip gets the name and version from here. It must never read setup.py.
pip checks the archive's hash itself, before it asks.
"""

import os


class Backend:
    @staticmethod
    def get_requires_for_build_wheel(config_settings=None):
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        name, version = os.environ["CRANNOG_SDIST_NAME"], os.environ["CRANNOG_SDIST_VERSION"]
        folder = os.path.join(metadata_directory, f"{name}-{version}.dist-info")
        os.mkdir(folder)
        with open(os.path.join(folder, "METADATA"), "w", encoding="utf-8") as out:
            out.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return os.path.basename(folder)

    @staticmethod
    def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
        raise RuntimeError("this archive is read for its data and is never built")


__legacy__ = Backend
