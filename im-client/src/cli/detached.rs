//! Blocking work that cannot be cancelled (reading a terminal, waiting for a lock), on a thread
//! that does not hold up the end of the program.

use std::io;

use tokio::sync::oneshot;

/// Runs `work` and resolves to its result. When dropped, the work goes on and its result is lost.
pub(super) async fn run<T, W>(name: &str, work: W) -> io::Result<T>
where
    T: Send + 'static,
    W: FnOnce() -> io::Result<T> + Send + 'static,
{
    let (finished, result) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _ = finished.send(work());
        })?;
    result
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}
