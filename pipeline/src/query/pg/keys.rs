//! The certificate of the moment, and logins that are bound to it (RFC 5929).

use crate::tls::{Fixed, Tls};
use datafusion_postgres::pgwire::api::auth::sasl::scram::ScramServerAuth;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;

/// What one connection begins with, whatever is renewed meanwhile.
pub(super) struct Keys {
    fixed: Option<Fixed>,
    pub(super) scram: ScramServerAuth,
    /// Whether a login can be bound to the certificate.
    pub(super) binds_channels: bool,
}

impl Keys {
    fn of(fixed: Option<Fixed>) -> Self {
        let mut scram = ScramServerAuth::new();
        // A certificate whose algorithm has no hash to bind to is no reason not to serve.
        let binds_channels =
            fixed.as_ref().is_some_and(|fixed| scram.configure_certificate(&fixed.certificate).is_ok());
        Self { fixed, scram, binds_channels }
    }

    /// Who agrees on a key; `None` where the door has no certificate.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.fixed.as_ref().map(|fixed| TlsAcceptor::from(Arc::clone(&fixed.server)))
    }
}

/// Keys, renewed with the certificate.
pub(super) struct KeyRing {
    tls: Option<Tls>,
    now: Mutex<Arc<Keys>>,
}

impl KeyRing {
    pub(super) fn new(tls: Option<Tls>) -> Self {
        let keys = Keys::of(tls.as_ref().map(Tls::fixed));
        Self { tls, now: Mutex::new(Arc::new(keys)) }
    }

    /// Those for a connection that begins now.
    pub(super) fn now(&self) -> Arc<Keys> {
        let fixed = self.tls.as_ref().map(Tls::fixed);
        let mut held = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |fixed: &Option<Fixed>| fixed.as_ref().map(|fixed| Arc::as_ptr(&fixed.certificate));
        if place(&fixed) != place(&held.fixed) {
            *held = Arc::new(Keys::of(fixed));
        }
        Arc::clone(&held)
    }
}
