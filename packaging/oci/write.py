#!/usr/bin/env python3
"""Writes an image as an OCI archive: a tar of an image layout, without a daemon and without a base image.

    write.py image STAGE ARCH VERSION ARCHIVE     the program alone, at the place of the packages
    write.py talos STAGE ARCH VERSION ARCHIVE     a system extension of Talos, see its manifest.yaml

What is written depends on the files, the version and SOURCE_DATE_EPOCH alone.
"""

import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile

NAME = "ecr-credential-provider"
BINARY = f"usr/libexec/{NAME}/{NAME}"
LICENCES = f"usr/share/doc/{NAME}/third-party-licences.txt"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# Talos binds this folder into the container of the kubelet, and no other.
TALOS_FOLDER = "rootfs/usr/local/lib/kubelet/credentialproviders"
MANIFEST = """\
version: v1alpha1
metadata:
  name: {name}
  version: {version}
  author: the authors of {name}
  description: |
    Kubelet image credential provider for Amazon ECR. Name it in machine.kubelet.credentialProviderConfig.
  compatibility:
    talos:
      version: ">= v1.6.0"
"""


def image_files(stage, version):
    """The program where node-config/daemonset expects it, and what has to go with it."""
    return {BINARY: (stage / BINARY).read_bytes(), LICENCES: (stage / LICENCES).read_bytes()}


def talos_files(stage, version):
    return {"manifest.yaml": MANIFEST.format(name=NAME, version=version).encode(),
            f"{TALOS_FOLDER}/{NAME}": (stage / BINARY).read_bytes(),
            f"rootfs/{LICENCES}": (stage / LICENCES).read_bytes()}


def archive(files, epoch):
    """A tar of files, with their folders; what ends in the program's name is a program."""
    folders = {str(parent) for name in files for parent in pathlib.PurePath(name).parents} - {"."}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(folders | files.keys()):
            entry = tarfile.TarInfo(name)
            entry.mtime = epoch
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                entry.mode, entry.size = (0o755 if name.endswith(f"/{NAME}") else 0o644), len(files[name])
                tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


class Layout:
    """The files of an image layout. Blobs are named by their contents."""

    def __init__(self):
        self.files = {"oci-layout": self.encoded({"imageLayoutVersion": "1.0.0"})}

    @staticmethod
    def encoded(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    def blob(self, media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}


def write(kind, stage, arch, version, path):
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    files = {"image": image_files, "talos": talos_files}[kind](stage, version)
    platform = {"architecture": MACHINES[arch], "os": "linux"}
    labels = {"org.opencontainers.image.title": NAME, "org.opencontainers.image.version": version,
              "org.opencontainers.image.licenses": "Apache-2.0"}
    layout, layer = Layout(), archive(files, epoch)
    config = platform | {
        "created": created,
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": created, "created_by": "packaging/build"}],
    }
    if kind == "image":
        # Root, as no user is named: what the image is for is to install on a node (node-config/daemonset). A pod that only
        # asks for a password may run as anybody.
        config["config"] |= {"Entrypoint": [f"/{BINARY}"], "WorkingDir": "/"}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": layout.blob("config.v1+json", layout.encoded(config)),
        "layers": [layout.blob("layer.v1.tar+gzip", gzip.compress(layer, 9, mtime=0))],
        "annotations": labels | {"org.opencontainers.image.created": created},
    }
    entry = layout.blob("manifest.v1+json", layout.encoded(manifest))
    entry |= {"platform": platform, "annotations": {"org.opencontainers.image.ref.name": version}}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    layout.files["index.json"] = layout.encoded(index)
    path.write_bytes(archive(layout.files, epoch))


write(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4], pathlib.Path(sys.argv[5]))
