//! The certificate and key of an HTTPS server.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use crate::config::TlsFiles;
use crate::failure::Failure;

/// Makes ring the cryptography of whatever speaks TLS in this process.
pub(crate) fn install_provider() {
    // An error says that one is installed already, which only this function does.
    let _installed = ring::default_provider().install_default();
}

/// Reads the files that HTTPS is served with.
///
/// # Errors
/// A failure that names the option and the file at fault.
pub(crate) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, Failure> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            Failure::new(format!("--tls-key {} holds no private key", files.key.display()))
                .hint("a PEM file with a part that begins `-----BEGIN PRIVATE KEY-----`")
        }
        error => unreadable("--tls-key", &files.key, &error),
    })?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| {
        Failure::new(format!(
            "--tls-cert {} and --tls-key {} cannot be used together",
            files.cert.display(),
            files.key.display()
        ))
        .because(&error)
        .hint("the first certificate in the file must be the server's own, and the key its key")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failed = |error: pem::Error| unreadable("--tls-cert", path, &error);
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if chain.is_empty() {
        return Err(Failure::new(format!("--tls-cert {} holds no certificate", path.display()))
            .hint("a PEM file with parts that begin `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(chain)
}

fn unreadable(option: &str, path: &Path, error: &pem::Error) -> Failure {
    let failure = Failure::new(format!("cannot read {option} {}", path.display()));
    match error {
        // Its own text would say no more than the cause does.
        pem::Error::Io(cause) => failure.because(cause),
        error => failure.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_at_fault_is_named() {
        install_provider();
        let temp = tempfile::tempdir().unwrap();
        let missing = temp.path().join("missing.pem");
        let empty = temp.path().join("empty.pem");
        let cert = temp.path().join("cert.pem");
        fs::write(&empty, "nothing here").unwrap();
        fs::write(&cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        let rows = [
            (&missing, &empty, "cannot read --tls-cert"),
            (&empty, &empty, "--tls-cert"),
            (&cert, &missing, "cannot read --tls-key"),
            (&cert, &empty, "--tls-key"),
        ];
        for (cert, key, message) in rows {
            let files = TlsFiles { cert: cert.clone(), key: key.clone() };
            let line = load(&files).unwrap_err().line();
            assert!(line.starts_with(message), "{line}");
        }
    }
}
