//! Who is behind a commit of ours, in the commit itself, and sealed.
//!
//! `commitInfo.tags` is delta-spark's place for a writer's own texts; `crannog.statements` lists there the statements whose
//! rows a version holds (a group of small appends has several), and `crannog.seal` is a keyed hash over table, version and
//! that list. Whoever can write the table's folder can write any `userName` into a commit, but no seal: the audit names
//! people only for commits whose seal holds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::actions::{Action, CommitInfo};

const TAGS: &str = "tags";
const STATEMENTS: &str = "crannog.statements";
const SEAL: &str = "crannog.seal";

/// A statement that committed rows or changed a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stated {
    /// The statement's id, where it came by SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The principal's id.
    pub user_id: String,
    /// The principal's name.
    pub user_name: String,
    /// Rows that it wrote, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
}

/// The tags of a commit of these statements, not sealed yet.
#[must_use]
pub fn tags(stated: &[Stated]) -> Option<(String, Value)> {
    let list = serde_json::to_string(stated).ok().filter(|_| !stated.is_empty())?;
    Some((TAGS.to_owned(), serde_json::json!({ STATEMENTS: list })))
}

/// The key of an installation.
#[derive(Clone)]
pub struct Seal([u8; 32]);

impl Seal {
    /// With a key that only the installation's database knows.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Seal(key)
    }

    /// Seals the commit of a version.
    pub fn close(&self, location: &str, version: i64, actions: &mut [Action]) {
        let Some(info) = actions.iter_mut().find_map(|a| if let Action::CommitInfo(i) = a { Some(i) } else { None })
        else {
            return;
        };
        let Some(seal) = self.over(location, version, info) else { return };
        if let Some(Value::Object(tags)) = info.extra.get_mut(TAGS) {
            tags.insert(SEAL.to_owned(), seal.into());
        }
    }

    /// The statements behind a version, when its seal holds: then this installation wrote it, and they are true.
    #[must_use]
    pub fn open(&self, location: &str, version: i64, info: &CommitInfo) -> Option<Vec<Stated>> {
        let tags = tags_of(info)?;
        let found = tags.get(SEAL)?.as_str()?;
        // Its time tells a forger nothing: each try takes a version, and the next is over another one.
        (self.over(location, version, info)? == found).then_some(())?;
        serde_json::from_str(tags.get(STATEMENTS)?.as_str()?).ok()
    }

    fn over(&self, location: &str, version: i64, info: &CommitInfo) -> Option<String> {
        let list = tags_of(info)?.get(STATEMENTS)?.as_str()?;
        let (version, txn_id) = (version.to_string(), info.txn_id.as_deref().unwrap_or_default());
        let mut message = Vec::new();
        for part in [location, &version, txn_id, list] {
            message.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        Some(hmac(&self.0, &message).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn tags_of(info: &CommitInfo) -> Option<&Map<String, Value>> {
    info.extra.get(TAGS)?.as_object()
}

/// HMAC-SHA-256 (RFC 2104) with a key shorter than the hash's block.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// Whether two proofs are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 1 and 2.
    #[test]
    fn hmac_as_the_rfc_has_it() {
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    fn commit(seal: &Seal, version: i64) -> CommitInfo {
        let stated =
            Stated { statement: Some("s1".into()), user_id: "7".into(), user_name: "ana".into(), rows: Some(3) };
        let mut info = CommitInfo { txn_id: Some("t".into()), ..CommitInfo::default() };
        info.extra.extend(tags(&[stated]));
        let mut actions = vec![Action::CommitInfo(info)];
        seal.close("file:///t", version, &mut actions);
        match actions.remove(0) {
            Action::CommitInfo(info) => info,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_seal_holds_for_one_table_one_version_and_one_list() {
        let seal = Seal::new([1; 32]);
        let info = commit(&seal, 4);
        assert_eq!(seal.open("file:///t", 4, &info).unwrap()[0].user_name, "ana");
        assert_eq!(seal.open("file:///t", 5, &info), None);
        assert_eq!(seal.open("file:///u", 4, &info), None);
        assert_eq!(Seal::new([2; 32]).open("file:///t", 4, &info), None);
        let mut forged = info.clone();
        let list = forged.extra["tags"][STATEMENTS].as_str().unwrap().replace("ana", "ben");
        forged.extra["tags"][STATEMENTS] = list.into();
        assert_eq!(seal.open("file:///t", 4, &forged), None);
        assert_eq!(seal.open("file:///t", 4, &CommitInfo::default()), None);
    }

    #[test]
    fn proofs_are_the_same_or_not() {
        for (one, other, same_) in
            [("", "", true), ("ab", "ab", true), ("ab", "aB", false), ("ab", "abc", false), ("xb", "ab", false)]
        {
            assert_eq!(same(one, other), same_, "{one} {other}");
        }
    }
}
