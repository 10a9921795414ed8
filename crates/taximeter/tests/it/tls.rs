//! HTTPS, spoken by a client that checks the certificate.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

use crate::server::{Server, fail};

/// A file beside this one. The certificate is for 127.0.0.1 and lasts a hundred years.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

fn client() -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("cert.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap()
}

#[test]
fn with_a_certificate_it_serves_https() {
    let temp = tempfile::tempdir().unwrap();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let args = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = Server::start(temp.path(), &args);
    assert!(server.banner.contains("https://127.0.0.1:"), "{}", server.banner);
    assert!(!server.banner.contains("http://"), "{}", server.banner);
    let (mut client, mut socket) = (client(), server.connect());
    let mut stream = Stream::new(&mut client, &mut socket);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // What matters has come by then, whether or not the server says goodbye first.
    let _closed = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    server.stop();
}

#[test]
fn a_certificate_in_the_place_of_the_key_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let cert = file("cert.pem");
    let cert = cert.to_str().unwrap();
    let said = fail(temp.path(), &["--tls-cert", cert, "--tls-key", cert]);
    assert!(said.starts_with(&format!("error: --tls-key {cert} holds no private key\n")), "{said}");
}
