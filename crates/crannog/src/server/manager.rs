//! What a service manager is told: that the server is ready, and that it stops (sd_notify(3), systemd's `Type=notify`).
//!
//! One datagram to the socket that the manager names; without a name nobody is told. Whether it arrives is the manager's
//! affair: a server that cannot tell still serves, and says so in its log.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who started this process, when that was a service manager.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manager {
    socket: Option<String>,
}

impl Manager {
    /// The manager of `NOTIFY_SOCKET`: a path, or `@` and a name in the kernel's own space.
    pub(crate) fn at(socket: Option<&String>) -> Self {
        Manager { socket: socket.filter(|name| name.starts_with(['/', '@'])).cloned() }
    }

    /// Whether there is one: then what is printed ends up in its journal.
    pub(super) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(name) = &self.socket else { return };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
        if let Err(error) = sent {
            tracing::warn!(%error, state, "the service manager was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").to_str().unwrap().to_owned();
        let abstract_name = format!("crannog-{}", std::process::id());
        let listening = [
            (path.clone(), UnixDatagram::bind(&path).unwrap()),
            (
                format!("@{abstract_name}"),
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(abstract_name).unwrap()).unwrap(),
            ),
        ];
        for (name, socket) in listening {
            let manager = Manager::at(Some(&name));
            manager.ready();
            let mut heard = [0; 16];
            let length = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1", "{name}");
        }
        assert!(!Manager::at(None).is_there() && !Manager::at(Some(&"vsock:2:1".to_owned())).is_there());
    }
}
