//! Which protocol a table needs, and which tables we can read and write.
//!
//! A feature that we do not know may change the meaning of the files, so unknown features refuse the table by name: a
//! reader feature refuses reading, a writer feature refuses writing. What we list as writable is honoured by our writer in
//! full, or is not in use in that table. Nothing is listed in the hope that it does not matter.

use std::collections::BTreeSet;

use serde_json::Value;

use super::actions::{Metadata, Protocol};
use super::schema::{DataType, StructType};

/// Reader features that the kernel resolves. Not `catalogManaged`: its newest commits are known only to its own catalog.
pub const READABLE: &[&str] = &[
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantShredding",
    "variantShredding-preview",
    "variantType",
    "variantType-preview",
];

/// Writer features that our commits honour. Some only while the table does not use them; see [`writable`].
pub const WRITABLE: &[&str] = &[
    "allowColumnDefaults",
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "columnMapping",
    "deletionVectors",
    "domainMetadata",
    "generatedColumns",
    "identityColumns",
    "inCommitTimestamp",
    "invariants",
    "timestampNtz",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// Features that bind readers as well as writers: they stand in both lists of the protocol.
const READER_WRITER: &[&str] =
    &["columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"];

/// What the numbered writer versions imply, by the version that brought them.
const LEGACY_WRITER: &[(i32, &str)] = &[
    (2, "appendOnly"),
    (2, "invariants"),
    (3, "checkConstraints"),
    (4, "changeDataFeed"),
    (4, "generatedColumns"),
    (5, "columnMapping"),
    (6, "identityColumns"),
];

/// Why a table cannot be read or written. Each names the feature and the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error(
        "the table cannot be read: it uses the Delta feature '{feature}', which is not supported; read it with the engine that wrote it, or drop the feature there (ALTER TABLE … DROP FEATURE {feature})"
    )]
    Reader { feature: String },
    #[error(
        "the table cannot be written: it uses the Delta feature '{feature}', which is not supported; write it with Spark, or drop the feature there (ALTER TABLE … DROP FEATURE {feature})"
    )]
    Writer { feature: String },
    #[error(
        "the table cannot be written: {used}, which the Delta feature '{feature}' leaves to the writer and is not supported; write it with Spark, or {next_step}"
    )]
    InUse { feature: &'static str, used: String, next_step: &'static str },
    #[error(
        "the table asks for Delta protocol version {found} to be {verb}, the highest there is here is {highest}; upgrade Crannog"
    )]
    Version { verb: &'static str, found: i32, highest: i32 },
    #[error(
        "the table property {property} needs the Delta feature '{feature}', which is not supported; leave it out or create the table with Spark"
    )]
    Property { property: String, feature: &'static str },
    #[error("the property {property} is '{value}', which is no value for it: use {allowed}")]
    PropertyValue { property: String, value: String, allowed: &'static str },
}

/// All features that writers must honour: those listed, or those that a numbered version implies.
#[must_use]
pub fn writer_features(protocol: &Protocol) -> BTreeSet<&str> {
    if protocol.min_writer_version >= 7 {
        return protocol.writer_features.iter().flatten().map(String::as_str).collect();
    }
    LEGACY_WRITER.iter().filter(|(version, _)| *version <= protocol.min_writer_version).map(|(_, name)| *name).collect()
}

/// All features that readers must honour.
#[must_use]
pub fn reader_features(protocol: &Protocol) -> BTreeSet<&str> {
    match protocol.min_reader_version {
        3.. => protocol.reader_features.iter().flatten().map(String::as_str).collect(),
        2 => BTreeSet::from(["columnMapping"]),
        _ => BTreeSet::new(),
    }
}

/// What a change of protocol no longer requires, as a text for people; `None` if nothing.
#[must_use]
pub fn lost_requirements(old: &Protocol, new: &Protocol) -> Option<String> {
    let (old_all, new_all) = (all_features(old), all_features(new));
    let lost: Vec<_> = old_all.difference(&new_all).copied().collect();
    (!lost.is_empty()).then(|| lost.join(", "))
}

fn all_features(protocol: &Protocol) -> BTreeSet<&str> {
    writer_features(protocol).union(&reader_features(protocol)).copied().collect()
}

/// Whether we can read a table of this protocol.
///
/// # Errors
/// [`Unsupported`] naming the first feature that we cannot resolve.
pub fn readable(protocol: &Protocol) -> Result<(), Unsupported> {
    if protocol.min_reader_version > 3 {
        return Err(Unsupported::Version { verb: "read", found: protocol.min_reader_version, highest: 3 });
    }
    match reader_features(protocol).into_iter().find(|f| !READABLE.contains(f)) {
        Some(feature) => Err(Unsupported::Reader { feature: feature.to_owned() }),
        None => Ok(()),
    }
}

/// Whether we can commit to a table: all of its features are ours, and those that ask the writer for work that we do not
/// do (evaluating constraints, writing change files, physical names) are not in use.
///
/// # Errors
/// [`Unsupported`] naming the feature and what uses it.
pub fn writable(protocol: &Protocol, metadata: &Metadata, schema: &StructType) -> Result<(), Unsupported> {
    readable(protocol)?;
    if protocol.min_writer_version > 7 {
        return Err(Unsupported::Version { verb: "written", found: protocol.min_writer_version, highest: 7 });
    }
    let features = writer_features(protocol);
    if let Some(feature) = features.iter().find(|f| !WRITABLE.contains(f)) {
        return Err(Unsupported::Writer { feature: (*feature).to_owned() });
    }
    let in_use = |feature, used: String, next_step| Err(Unsupported::InUse { feature, used, next_step });
    if features.contains("checkConstraints")
        && let Some(name) = metadata.configuration.keys().find_map(|k| k.strip_prefix("delta.constraints."))
    {
        return in_use(
            "checkConstraints",
            format!("it has the CHECK constraint '{name}'"),
            "drop the constraint there",
        );
    }
    if features.contains("changeDataFeed") && metadata.flag("delta.enableChangeDataFeed") {
        let next_step = "set delta.enableChangeDataFeed to false there";
        return in_use("changeDataFeed", "its change data feed is on".to_owned(), next_step);
    }
    let mapping = metadata.configuration.get("delta.columnMapping.mode").map_or("none", String::as_str);
    if features.contains("columnMapping") && mapping != "none" {
        return in_use(
            "columnMapping",
            format!("its columns are mapped by {mapping}"),
            "copy it to a table without mapping",
        );
    }
    let mut found = None;
    schema.walk(&mut |field| {
        for (key, feature) in [
            ("delta.invariants", "invariants"),
            ("delta.generationExpression", "generatedColumns"),
            ("delta.identity.start", "identityColumns"),
            ("CURRENT_DEFAULT", "allowColumnDefaults"),
            ("__CHAR_VARCHAR_TYPE_STRING", "char/varchar"),
        ] {
            if field.metadata.get(key).is_some_and(|v| *v != Value::Null) {
                found.get_or_insert((feature, field.name.clone()));
            }
        }
    });
    match found {
        Some((feature, column)) => {
            in_use(feature, format!("the column '{column}' has {feature} metadata"), "copy it to a table without that")
        }
        None => Ok(()),
    }
}

/// The protocol of a new table: reader 1 and writer 2, which every Delta reader understands, unless a column type or a
/// property needs table features.
///
/// # Errors
/// [`Unsupported::Property`] for properties whose feature we cannot honour, [`Unsupported::PropertyValue`] for bad values,
/// [`Unsupported::Writer`] for column types that we cannot write.
pub fn protocol_for(schema: &StructType, metadata: &Metadata) -> Result<Protocol, Unsupported> {
    let mut needed = BTreeSet::new();
    if schema.any_type(|t| *t == DataType::TimestampNtz) {
        needed.insert("timestampNtz");
    }
    if schema.any_type(|t| *t == DataType::Variant) {
        return Err(Unsupported::Writer { feature: "variantType".to_owned() });
    }
    for (property, value) in &metadata.configuration {
        needed.extend(property_feature(property, value)?);
    }
    if needed.is_empty() {
        return Ok(Protocol {
            min_reader_version: 1,
            min_writer_version: 2,
            reader_features: None,
            writer_features: None,
        });
    }
    Ok(with_features(&needed.into_iter().chain(["appendOnly", "invariants"]).collect()))
}

/// The protocol that a table needs after its properties or schema changed: what it has, and what they add. For tables that
/// are [`writable`], whose features are all known here.
///
/// # Errors
/// As [`protocol_for`].
pub fn upgraded(current: &Protocol, schema: &StructType, metadata: &Metadata) -> Result<Protocol, Unsupported> {
    let needed = protocol_for(schema, metadata)?;
    if lost_requirements(&needed, current).is_none() {
        return Ok(current.clone());
    }
    let (have, add) = (all_features(current), all_features(&needed));
    Ok(with_features(&have.union(&add).copied().collect()))
}

fn with_features(features: &BTreeSet<&str>) -> Protocol {
    let reader: Vec<String> = features.iter().filter(|f| READER_WRITER.contains(f)).map(|f| (*f).to_owned()).collect();
    let binds_readers = !reader.is_empty();
    Protocol {
        min_reader_version: if binds_readers { 3 } else { 1 },
        min_writer_version: 7,
        reader_features: binds_readers.then_some(reader),
        writer_features: Some(features.iter().map(|f| (*f).to_owned()).collect()),
    }
}

/// The feature that a property turns on, if it does.
fn property_feature(property: &str, value: &str) -> Result<Option<&'static str>, Unsupported> {
    let bad = |allowed| Unsupported::PropertyValue { property: property.to_owned(), value: value.to_owned(), allowed };
    let flag = || match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad("true or false")),
    };
    let refuse = |on: bool, feature| {
        if on { Err(Unsupported::Property { property: property.to_owned(), feature }) } else { Ok(None) }
    };
    match property {
        // Writer version 2 has this one already.
        "delta.appendOnly" => flag().map(|_| None),
        "delta.enableDeletionVectors" => Ok(flag()?.then_some("deletionVectors")),
        "delta.enableInCommitTimestamps" => Ok(flag()?.then_some("inCommitTimestamp")),
        "delta.checkpointPolicy" => match value {
            "v2" => Ok(Some("v2Checkpoint")),
            "classic" => Ok(None),
            _ => Err(bad("classic or v2")),
        },
        "delta.isolationLevel" => match value {
            "WriteSerializable" | "Serializable" => Ok(None),
            _ => Err(bad("WriteSerializable or Serializable")),
        },
        "delta.enableChangeDataFeed" => refuse(flag()?, "changeDataFeed"),
        "delta.enableRowTracking" => refuse(flag()?, "rowTracking"),
        "delta.enableTypeWidening" => refuse(flag()?, "typeWidening"),
        "delta.enableIcebergCompatV1" => refuse(flag()?, "icebergCompatV1"),
        "delta.enableIcebergCompatV2" => refuse(flag()?, "icebergCompatV2"),
        "delta.enableIcebergCompatV3" => refuse(flag()?, "icebergCompatV3"),
        "delta.columnMapping.mode" => refuse(value != "none", "columnMapping"),
        _ => match property.strip_prefix("delta.feature.") {
            Some(name) => match WRITABLE.iter().find(|f| **f == name) {
                Some(feature) if matches!(value, "supported" | "enabled") => Ok(Some(feature)),
                Some(_) => Err(bad("supported")),
                None => Err(Unsupported::Writer { feature: name.to_owned() }),
            },
            None if property.starts_with("delta.constraints.") => refuse(true, "checkConstraints"),
            None => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::StructField;

    fn schema(data_type: DataType) -> StructType {
        StructType { fields: vec![StructField::new("a", data_type, true)] }
    }

    fn with(properties: &[(&str, &str)]) -> Metadata {
        let configuration = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Metadata { configuration, ..Metadata::default() }
    }

    fn protocol(reader: i32, writer: i32, features: &[&str]) -> Protocol {
        let names = |names: Vec<&str>| Some(names.into_iter().map(str::to_owned).collect::<Vec<_>>());
        let readers: Vec<_> = features.iter().copied().filter(|f| READER_WRITER.contains(f)).collect();
        Protocol {
            min_reader_version: reader,
            min_writer_version: writer,
            reader_features: (reader == 3).then(|| names(readers)).flatten(),
            writer_features: (writer == 7).then(|| names(features.to_vec())).flatten(),
        }
    }

    #[test]
    fn a_plain_table_is_readable_by_everyone() {
        let plain =
            protocol_for(&schema(DataType::Long), &with(&[("delta.appendOnly", "true"), ("owner", "ada")])).unwrap();
        assert_eq!(plain, protocol(1, 2, &[]));
    }

    #[test]
    fn types_and_properties_ask_for_features() {
        let ntz = protocol_for(&schema(DataType::TimestampNtz), &with(&[])).unwrap();
        assert_eq!(ntz, protocol(3, 7, &["appendOnly", "invariants", "timestampNtz"]));
        let ict = protocol_for(&schema(DataType::Long), &with(&[("delta.enableInCommitTimestamps", "true")])).unwrap();
        assert_eq!(ict, protocol(1, 7, &["appendOnly", "inCommitTimestamp", "invariants"]));
        let dv =
            upgraded(&protocol(1, 2, &[]), &schema(DataType::Long), &with(&[("delta.enableDeletionVectors", "true")]));
        assert_eq!(dv.unwrap(), protocol(3, 7, &["appendOnly", "deletionVectors", "invariants"]));
        let nothing_new = upgraded(&ntz, &schema(DataType::Long), &with(&[])).unwrap();
        assert_eq!(nothing_new, ntz, "a feature once there stays");
    }

    #[test]
    fn properties_that_we_cannot_honour_are_refused_by_name() {
        for (property, value, named) in [
            ("delta.enableRowTracking", "true", "rowTracking"),
            ("delta.columnMapping.mode", "name", "columnMapping"),
            ("delta.enableDeletionVectors", "yes", "true or false"),
            ("delta.feature.clustering", "supported", "clustering"),
            ("delta.isolationLevel", "None", "WriteSerializable"),
            ("delta.constraints.pos", "a > 0", "checkConstraints"),
        ] {
            let error = protocol_for(&schema(DataType::Long), &with(&[(property, value)])).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn tables_are_refused_for_what_they_use_not_for_what_they_might() {
        let plain = schema(DataType::Long);
        for version in 2..=6 {
            writable(&protocol(1, version, &[]), &with(&[]), &plain).unwrap();
        }
        let error = writable(&protocol(1, 3, &[]), &with(&[("delta.constraints.pos", "a > 0")]), &plain).unwrap_err();
        assert!(error.to_string().contains("'pos'"), "{error}");
        let mut invariant = plain.clone();
        invariant.fields[0].metadata.insert("delta.invariants".into(), "x".into());
        assert!(writable(&protocol(1, 2, &[]), &with(&[]), &invariant).is_err());
        assert!(
            writable(&protocol(1, 7, &["rowTracking"]), &with(&[]), &plain)
                .unwrap_err()
                .to_string()
                .contains("rowTracking")
        );
        readable(&protocol(3, 7, &["deletionVectors"])).unwrap();
        let mut future = protocol(3, 7, &[]);
        future.reader_features = Some(vec!["quantum".into()]);
        assert!(readable(&future).unwrap_err().to_string().contains("'quantum'"));
        assert!(readable(&protocol(4, 8, &[])).is_err());
    }

    #[test]
    fn what_a_protocol_loses_is_named_across_legacy_versions() {
        assert_eq!(lost_requirements(&protocol(1, 2, &[]), &protocol(1, 7, &["appendOnly", "invariants"])), None);
        assert_eq!(lost_requirements(&protocol(1, 3, &[]), &protocol(1, 2, &[])).as_deref(), Some("checkConstraints"));
    }
}
