//! The build of MLflow's pages out of a wheel: a zip archive, of which no more is read than wheels have: stored and deflated
//! entries without encryption. An entry that is a link, leads out of the build, or unpacks to something else than it says is
//! refused.
//!
//! The crate `zip` does the same and writes, encrypts and repairs archives as well, which cannot be left out: 27,000 lines, and
//! four crates that nothing else here needs. Numbers and names are those of PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crannog_tracking::service::ui::{Build, MOST_BYTES, MOST_FILES};
use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::installed::BUILD;
use crate::cli::Failure;

pub(super) fn read(wheel: &Path) -> Result<Build, Failure> {
    let name = wheel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut parts = name.strip_suffix(".whl").unwrap_or_default().split('-');
    let (Some("mlflow"), Some(version)) = (parts.next(), parts.next()) else {
        return Err(Failure::new(format!(
            "{name:?} is no wheel of mlflow: those are called mlflow-<version>-py3-none-any.whl"
        )));
    };
    let files = whole(wheel).and_then(|archive| files(&archive));
    let files = files.map_err(|why| Failure::new(format!("{} cannot be read: {why}", wheel.display())))?;
    Ok(Build { version: version.to_owned(), files })
}

/// The bytes of a wheel. It is packed, so it is smaller than what may come out of it.
fn whole(wheel: &Path) -> Result<Vec<u8>, String> {
    let (mut archive, most) = (Vec::new(), MOST_BYTES as u64);
    let read = File::open(wheel).and_then(|file| file.take(most + 1).read_to_end(&mut archive));
    read.map_err(|error| error.to_string())?;
    if archive.len() > MOST_BYTES {
        return Err(format!("it is larger than {} MiB", MOST_BYTES >> 20));
    }
    Ok(archive)
}

const BROKEN: &str = "it is not a whole zip archive";

fn part(bytes: &[u8], from: usize, length: usize) -> Result<&[u8], String> {
    from.checked_add(length).and_then(|end| bytes.get(from..end)).ok_or_else(|| BROKEN.to_owned())
}

fn number(bytes: &[u8], from: usize, length: usize) -> Result<usize, String> {
    Ok(part(bytes, from, length)?.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The files of the build in an archive, by their paths in the build.
fn files(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    const END: &[u8] = b"PK\x05\x06";
    // It is the last record, with a comment of up to 64 KiB behind it.
    let tail = archive.len().saturating_sub(22 + 65_535);
    let end = archive[tail..].windows(4).rposition(|window| window == END).ok_or(BROKEN)? + tail;
    part(archive, end, 22)?;
    let (entries, mut at) = (number(archive, end + 10, 2)?, number(archive, end + 16, 4)?);
    let (mut found, mut bytes) = (BTreeMap::new(), 0_usize);
    for _ in 0..entries {
        if part(archive, at, 4)? != b"PK\x01\x02" {
            return Err(BROKEN.to_owned());
        }
        let (flags, method) = (number(archive, at + 8, 2)?, number(archive, at + 10, 2)?);
        let (sum, packed, size) =
            (number(archive, at + 16, 4)?, number(archive, at + 20, 4)?, number(archive, at + 24, 4)?);
        let lengths = [number(archive, at + 28, 2)?, number(archive, at + 30, 2)?, number(archive, at + 32, 2)?];
        let (mode, local) = (number(archive, at + 40, 2)?, number(archive, at + 42, 4)?);
        let name = String::from_utf8_lossy(part(archive, at + 46, lengths[0])?).into_owned();
        at += 46 + lengths.iter().sum::<usize>();
        let Some(path) = name.strip_prefix(BUILD).and_then(|rest| rest.strip_prefix('/')) else { continue };
        if path.is_empty() || path.ends_with('/') {
            continue;
        }
        // The kind of file in Unix' mode: none, or a regular file.
        if !matches!(mode & 0o170_000, 0 | 0o100_000) {
            return Err(format!("its entry {name:?} is no file"));
        }
        bytes = bytes.saturating_add(size);
        if found.len() >= MOST_FILES || bytes > MOST_BYTES {
            return Err("it holds more than a build of MLflow's pages".to_owned());
        }
        if part(archive, local, 4)? != b"PK\x03\x04" {
            return Err(BROKEN.to_owned());
        }
        let begins = local + 30 + number(archive, local + 26, 2)? + number(archive, local + 28, 2)?;
        let content = part(archive, begins, packed)?;
        let mut unpacked = Vec::new();
        match (flags & 1, method) {
            (0, 0) => unpacked.extend_from_slice(content),
            (0, 8) => {
                let limit = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1);
                let read = DeflateDecoder::new(content).take(limit).read_to_end(&mut unpacked);
                read.map_err(|error| format!("its entry {name:?} cannot be unpacked: {error}"))?;
            }
            _ => return Err(format!("its entry {name:?} is packed in a way that wheels are not")),
        }
        if unpacked.len() != size {
            return Err(format!("its entry {name:?} is not as large as it says"));
        }
        if sum_of(&unpacked) != sum {
            return Err(format!("its entry {name:?} is not what was packed: its checksum is another"));
        }
        found.insert(path.to_owned(), unpacked);
    }
    Ok(found)
}

fn sum_of(content: &[u8]) -> usize {
    let mut sum = Crc::new();
    sum.update(content);
    sum.sum() as usize
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// An entry: its name, Unix mode, method, content as it is packed, and the checksum and the size that it claims.
    struct Entry(&'static str, usize, usize, Vec<u8>, usize, usize);

    fn stored(name: &'static str, content: &str) -> Entry {
        Entry(name, 0o100_644, 0, content.into(), sum_of(content.as_bytes()), content.len())
    }

    fn deflated(name: &'static str, content: &[u8], claims: usize) -> Entry {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer.write_all(content).unwrap();
        Entry(name, 0o100_644, 8, packer.finish().unwrap(), sum_of(content), claims)
    }

    fn archive(entries: &[Entry]) -> Vec<u8> {
        let little = |number: usize, length: usize| number.to_le_bytes()[..length].to_vec();
        let (mut all, mut directory) = (Vec::new(), Vec::new());
        for Entry(name, mode, method, content, sum, claims) in entries {
            let at = all.len();
            let sizes = [little(*sum, 4), little(content.len(), 4), little(*claims, 4), little(name.len(), 2)].concat();
            let sizes = [sizes, little(0, 2)].concat();
            all.extend(
                [b"PK\x03\x04".to_vec(), little(20, 2), little(0, 2), little(*method, 2), little(0, 4)].concat(),
            );
            all.extend([sizes.clone(), name.as_bytes().to_vec(), content.clone()].concat());
            let head =
                [b"PK\x01\x02".to_vec(), little(20 | 3 << 8, 2), little(20, 2), little(0, 2), little(*method, 2)];
            directory.extend([head.concat(), little(0, 4), sizes, little(0, 6), little(0, 2)].concat());
            directory.extend([little(*mode, 2), little(at, 4), name.as_bytes().to_vec()].concat());
        }
        let (at, size, count) = (all.len(), directory.len(), entries.len());
        all.extend(directory);
        all.extend([b"PK\x05\x06".to_vec(), little(0, 4), little(count, 2), little(count, 2)].concat());
        all.extend([little(size, 4), little(at, 4), little(0, 2)].concat());
        all
    }

    #[test]
    fn the_build_of_a_wheel() {
        let long = "x".repeat(100_000);
        let packed = archive(&[
            stored("mlflow/__init__.py", ""),
            stored("mlflow/server/js/build/", ""),
            stored("mlflow/server/js/build/index.html", "page"),
            deflated("mlflow/server/js/build/static/a.js", long.as_bytes(), long.len()),
            stored("mlflow/server/js/buildings", "no"),
        ]);
        let found = files(&packed).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["index.html", "static/a.js"]);
        assert_eq!((found["index.html"].as_slice(), found["static/a.js"].len()), (b"page".as_slice(), long.len()));
        for cut in [0, 10, 100, packed.len() / 2, packed.len() - 30, packed.len() - 1] {
            assert!(files(&packed[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_no_wheel_has_is_refused() {
        let build = |entry: Entry| files(&archive(&[entry])).map(|files| Build { version: "3.17.2".to_owned(), files });
        let refused = |entry: Entry| match build(entry) {
            Err(why) => why,
            Ok(build) => build.check().unwrap_err().to_string(),
        };
        let link = Entry("mlflow/server/js/build/a", 0o120_777, 0, b"/etc/passwd".to_vec(), 0, 11);
        assert!(refused(link).contains("is no file"));
        for outside in [
            "mlflow/server/js/build/../../../../x",
            "mlflow/server/js/build//etc/passwd",
            "mlflow/server/js/build/a/./b",
            "mlflow/server/js/build/a\\b",
            "mlflow/server/js/build/%2e%2e/b",
            "mlflow/server/js/build/a\0b",
        ] {
            assert!(refused(stored(outside, "x")).contains("no place inside of it"), "{outside}");
        }
        // It claims to be small, and is not; and the other way round.
        assert!(refused(deflated("mlflow/server/js/build/a", &[0; 1 << 20], 10)).contains("not as large as it says"));
        assert!(refused(deflated("mlflow/server/js/build/a", &[0; 10], 1 << 20)).contains("not as large as it says"));
        assert!(refused(deflated("mlflow/server/js/build/a", &[0; 10], MOST_BYTES + 1)).contains("more than a build"));
        let changed = Entry("mlflow/server/js/build/a", 0, 0, b"evil".to_vec(), sum_of(b"good"), 4);
        assert!(refused(changed).contains("its checksum is another"));
        assert!(refused(Entry("mlflow/server/js/build/a", 0, 12, vec![1], 0, 1)).contains("packed in a way"));
        assert!(
            refused(stored("mlflow/server/js/build/index.html", "another page")).contains("no build of MLflow's pages")
        );
    }

    #[test]
    fn a_wheel_is_known_by_its_name() {
        for name in ["mlflow_skinny-3.17.2-py3-none-any.whl", "mlflow-3.17.2.tar.gz", "mlflow.whl", "x.whl"] {
            assert!(read(Path::new(name)).err().unwrap().to_string().contains("no wheel of mlflow"), "{name}");
        }
    }
}
