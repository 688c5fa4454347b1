"""Certificates for the rigs: an authority of their own by openssl, and what it signs. All are worth nothing elsewhere, and for two days."""

import shutil
import subprocess


def replace(path, text):
    """What `path` says from now on, in one step: who reads it meanwhile sees the old or the new."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(path)


class Authority:
    """One that signs certificates for 127.0.0.1 and localhost; its own lies in `certificate`."""

    def __init__(self, folder, name):
        if shutil.which("openssl") is None:
            raise SystemExit("openssl is missing: it makes the certificates")
        folder.mkdir(parents=True)
        self.folder, self.certificate, self.key = folder, folder / f"{name}.crt", folder / f"{name}.key"
        make(self.certificate, self.key, name, "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, certificate, key, name):
        """A new certificate and its key, in the place of those that may be there."""
        made = self.folder / f"{name}.made.crt", self.folder / f"{name}.made.key"
        make(*made, name, "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth",
             "subjectAltName=IP:127.0.0.1,DNS:localhost", signed=["-CA", self.certificate, "-CAkey", self.key])
        replace(key, made[1].read_text())
        replace(certificate, made[0].read_text())


def make(certificate, key, name, *extensions, signed=()):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-keyout", key, "-out", certificate, *signed, *(part for extension in extensions for part in ("-addext", extension))]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode != 0:
        raise SystemExit(f"openssl: {said.stderr}")
