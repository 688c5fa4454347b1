//! Certificates of an authority of one's own, made by OpenSSL's command.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An authority, in a folder that holds all that it makes.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

/// A certificate and its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new(folder: &Path) -> Result<Self> {
        let authority = Self { folder: folder.to_owned() };
        authority.make("authority", &["-addext", "basicConstraints=critical,CA:TRUE"])?;
        Ok(authority)
    }

    /// The one in `folder`, which was made before.
    #[must_use]
    pub fn existing(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What clients are told to trust, as PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// An identity called `name`, for servers on this machine and for clients.
    pub fn issue(&self, name: &str) -> Result<Identity> {
        let (certificate, key) = (self.certificate(), self.folder.join("authority.key"));
        let by = [certificate.to_str().context("UTF-8")?, key.to_str().context("UTF-8")?];
        let at = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        let leaf = "basicConstraints=critical,CA:FALSE";
        self.make(name, &["-CA", by[0], "-CAkey", by[1], "-addext", at, "-addext", leaf])
    }

    fn make(&self, name: &str, more: &[&str]) -> Result<Identity> {
        let path = |ending: &str| self.folder.join(format!("{name}.{ending}"));
        let identity = Identity { certificate: path("pem"), key: path("key") };
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={name}")])
            .arg("-keyout")
            .arg(&identity.key)
            .arg("-out")
            .arg(&identity.certificate)
            .args(more)
            .stdin(Stdio::null())
            .output()
            .context("openssl: run `infra/setup/setup --tests`")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(identity)
    }
}
