//! Calls to servers that do not behave, and calls that are not made.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::TlsFiles;
use crate::tls;

const TIMEOUT: Duration = Duration::from_secs(30);
const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

fn caller(reach: Reach) -> Caller {
    tls::install_provider();
    Caller::new(reach, TIMEOUT)
}

/// The status that a call is answered with, or why it is not.
async fn called(caller: &Caller, url: &str, mode: Mode) -> Result<u16, Unsent> {
    let call = Call { url, mode, content: "{}", signature: "t=7,v1=13" };
    caller.call(call).await.map(|(response, _)| response.status().as_u16())
}

/// A server that reads a request and answers with this, once.
async fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer_with(&mut stream, answer).await;
    });
    port
}

async fn answer_with(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"{}") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            // Whoever was connected had nothing to say.
            return;
        }
    }
    // Whoever called may have gone already.
    let _written = stream.write_all(answer).await;
    let _flushed = stream.shutdown().await;
}

#[tokio::test]
async fn what_is_no_answer_is_told_from_what_is() {
    let caller = caller(Reach::Loopback);
    static LONG: [u8; 100_000] = [b'x'; 100_000];
    for (answer, expected) in [
        (OK, Ok(204)),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n".as_slice(), Ok(302)),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 7\r\n\r\n", Ok(500)),
        (b"220 mail.example.com ESMTP\r\n", Err(Unsent::Broken)),
        (b"", Err(Unsent::Broken)),
        (&LONG, Err(Unsent::Broken)),
    ] {
        let url = format!("http://127.0.0.1:{}/hook", server(answer).await);
        assert_eq!(called(&caller, &url, Mode::Test).await, expected, "{answer:.60?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let caller = caller(Reach::Loopback);
    assert_eq!(called(&caller, &url, Mode::Test).await, Err(Unsent::Unconnected));
}

#[tokio::test]
async fn a_name_is_judged_by_the_addresses_it_stands_for() {
    let port = server(OK).await;
    let url = Url::parse(&format!("https://localhost:{port}")).unwrap();
    let connected = async |reach, mode| caller(reach).connect(&url, mode).await.map(|_| ());
    assert_eq!(connected(Reach::Public, Mode::Test).await, Err(Unsent::Forbidden));
    assert_eq!(connected(Reach::Loopback, Mode::Live).await, Err(Unsent::Forbidden));
    assert_eq!(connected(Reach::Loopback, Mode::Test).await, Ok(()));
    let url = Url::parse("https://no-such-host.invalid").unwrap();
    let unresolved = caller(Reach::Public).connect(&url, Mode::Test).await.map(|_| ());
    assert_eq!(unresolved, Err(Unsent::Unresolved));
}

#[tokio::test]
async fn an_endpoint_that_could_be_called_once_is_not_when_it_may_not_be() {
    let url = format!("http://127.0.0.1:{}", server(OK).await);
    for (url, reach, mode) in [
        (url.as_str(), Reach::Public, Mode::Test),
        (url.as_str(), Reach::Private, Mode::Live),
        ("https://10.0.0.1", Reach::Loopback, Mode::Test),
        ("https://169.254.169.254", Reach::Private, Mode::Test),
        ("https://me:pw@example.com", Reach::Private, Mode::Test),
    ] {
        let outcome = called(&caller(reach), url, mode).await;
        assert_eq!(outcome, Err(Unsent::Forbidden), "{url} {reach:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let file = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name);
    let files = TlsFiles { cert: file("cert.pem"), key: file("key.pem") };
    tls::install_provider();
    let acceptor = TlsAcceptor::from(tls::load(&files).unwrap());
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                answer_with(&mut stream, OK).await;
            }
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.cert).unwrap()).unwrap();
    let trusting = Caller::trusting(roots, Reach::Loopback, TIMEOUT);
    let by = async |caller: &Caller, host: &str| {
        called(caller, &format!("https://{host}:{port}"), Mode::Test).await
    };
    assert_eq!(by(&trusting, "127.0.0.1").await, Ok(204));
    assert_eq!(by(&trusting, "localhost").await, Ok(204));
    // Another address than the certificate's, and a certificate that nobody vouches for.
    assert_eq!(by(&trusting, "127.0.0.2").await, Err(Unsent::Insecure));
    assert_eq!(by(&caller(Reach::Loopback), "127.0.0.1").await, Err(Unsent::Insecure));
}
