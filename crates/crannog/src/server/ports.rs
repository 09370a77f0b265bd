//! Who has a port that we wanted: read from /proc, as far as we may.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

/// What is said of a taken address.
pub(super) fn taken(address: SocketAddr, flag: &str) -> String {
    let holder = match holder(address.port()) {
        Some((pid, name)) => format!("the process with pid {pid} ({name})"),
        None => "another process, whose pid cannot be seen from here".to_owned(),
    };
    format!("{address} is taken by {holder}; stop it, or choose another address with {flag}")
}

fn holder(port: u16) -> Option<(u32, String)> {
    let sockets: BTreeSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| listening(&text, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim().to_owned()))
}

/// Inodes of the sockets that listen on a port, from the kernel's table.
fn listening(table: &str, port: u16) -> Vec<String> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (_, local_port) = local.rsplit_once(':')?;
        (*state == "0A" && u16::from_str_radix(local_port, 16) == Ok(port)).then(|| (*inode).to_owned())
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_socket_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (pid, _) = holder(address.port()).unwrap();
        assert_eq!(pid, std::process::id());
        let said = taken(address, "--listen");
        assert!(said.contains(&format!("pid {pid}")) && said.ends_with("--listen"), "{said}");
    }
}
