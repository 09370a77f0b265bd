//! External tables: the first commit of their log and their row in the catalog are both there in the end, or neither is.

use crannog_governance::service::locations;
use crannog_lake::model::actions::{Action, Add, CommitInfo, Metadata};
use crannog_lake::model::commit::{Operation, TableDescription};
use crannog_lake::model::commit_file::render_commit;
use crannog_lake::model::features::protocol_for;
use crannog_lake::model::schema::{DataType, StructField, StructType};
use crannog_lake::service::arbiter::Author;
use crannog_lake::service::begun;
use crannog_lake::service::table_log::commit_path;
use crannog_security::actions::schemas;
use crannog_security::{NameOf, System, Task};
use crannog_storage::{Access, Folder, Location};
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_types::FullName;

use crate::world::{ADMIN, World, given_up_after};

#[expect(clippy::disallowed_methods, reason = "a test looks for itself")]
fn system() -> System {
    System::task(Task::Probe)
}

fn folder(world: &World, location: &str) -> Folder {
    let location = Location::parse(location).unwrap();
    world.lake.governance.storage.open(&system(), &location, Access::ReadWrite).unwrap()
}

async fn has_log(world: &World, location: &str) -> bool {
    folder(world, location).head(&commit_path(0)).await.unwrap().is_some()
}

async fn open_intents(world: &World) -> usize {
    world.lake.governance.db.read(&system()).rows("SELECT id FROM intent", params![]).await.unwrap().len()
}

#[tokio::test]
async fn a_table_that_cannot_have_its_name_leaves_no_log() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let at = world.outside("once");
        world.refusal(ADMIN, &format!("CREATE TABLE weather (n INT) LOCATION '{at}'")).await;
        assert!(!has_log(&world, &at).await, "{kind:?}");
        assert_eq!(open_intents(&world).await, 0, "{kind:?}");
        // So the folder is free for the next one.
        world.lines(ADMIN, &format!("CREATE TABLE rain LOCATION '{at}' AS VALUES (1)")).await;
        assert!(has_log(&world, &at).await, "{kind:?}");
        assert_eq!(open_intents(&world).await, 0, "{kind:?}");
        // Another program's table stays where it is.
        world.refusal(ADMIN, &format!("CREATE TABLE rain LOCATION '{at}'")).await;
        assert!(has_log(&world, &at).await, "{kind:?}");
    }
}

#[tokio::test]
async fn a_table_whose_maker_goes_away_is_in_log_and_catalog_or_in_neither() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        for number in 0..20 {
            let at = world.outside(&format!("t{number}"));
            let sql = format!("CREATE TABLE t{number} (n INT) LOCATION '{at}'");
            // Before, between and after the two.
            given_up_after(number * 4, world.run(ADMIN, &sql)).await;
        }
        world.lake.follower.flush().await;
        let tables = world.lines(ADMIN, "SHOW TABLES IN main.flights").await;
        for number in 0..20 {
            let listed = tables.iter().any(|line| line.split('|').any(|cell| cell == format!("t{number}")));
            assert_eq!(listed, has_log(&world, &world.outside(&format!("t{number}"))).await, "{kind:?} t{number}");
        }
        assert_eq!(open_intents(&world).await, 0, "{kind:?}");
    }
}

/// What a process leaves that dies between the first commit and the table's row.
async fn half_made(world: &World, at: &str, id: &str) {
    let schema = StructType::new(vec![StructField::new("n", DataType::Long, true)]).unwrap();
    let metadata = Metadata { id: id.to_owned(), schema_string: schema.to_schema_string(), ..Metadata::default() };
    let parent = NameOf::named(FullName::of(["main", "flights"]));
    let permit = world.caller(ADMIN).ask::<schemas::CreateTable>(parent).await.unwrap();
    let location = Location::parse(at).unwrap();
    locations::begin_log(&world.lake.governance, &permit, &location, id.to_owned()).await.unwrap();
    let operation = Operation::CreateTable(TableDescription::of(&metadata, false));
    let actions = vec![Action::Protocol(protocol_for(&schema, &metadata).unwrap()), Action::Metadata(metadata)];
    world.lake.arbiter.create(&folder(world, at), &operation, &Author::default(), actions).await.unwrap();
}

#[tokio::test]
async fn the_next_start_takes_back_what_a_crash_left_half_made_and_nothing_else() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let [left, shared, foreign] = ["left", "shared", "foreign"].map(|name| world.outside(name));
        half_made(&world, &left, "0b2f1c6e-6c0e-4f0e-9f57-4b6f52b8a001").await;
        folder(&world, &left).put_if_absent("notes.txt", "somebody's own").await.unwrap();
        // Another program has committed since: the table is in use.
        half_made(&world, &shared, "0b2f1c6e-6c0e-4f0e-9f57-4b6f52b8a002").await;
        let add = Add { path: "theirs.parquet".into(), size: 1, data_change: true, ..Add::default() };
        let commit = render_commit(&[Action::CommitInfo(CommitInfo::default()), Action::Add(add)]).unwrap();
        assert!(folder(&world, &shared).put_if_absent(&commit_path(1), commit).await.unwrap());
        // Another program was quicker, and the first commit is not ours.
        half_made(&world, &foreign, "0b2f1c6e-6c0e-4f0e-9f57-4b6f52b8a003").await;
        let theirs = folder(&world, &foreign);
        let text = String::from_utf8(theirs.get(&commit_path(0)).await.unwrap().to_vec()).unwrap();
        assert!(theirs.delete(&commit_path(0)).await.unwrap());
        assert!(theirs.put_if_absent(&commit_path(0), text.replace("b8a003", "b8affff")).await.unwrap());
        assert_eq!(open_intents(&world).await, 3, "{kind:?}");

        begun::take_back_all(&world.lake.governance).await.unwrap();
        assert!(!has_log(&world, &left).await, "{kind:?}");
        assert!(folder(&world, &left).head("notes.txt").await.unwrap().is_some(), "{kind:?}");
        assert!(has_log(&world, &shared).await && has_log(&world, &foreign).await, "{kind:?}");
        assert_eq!(open_intents(&world).await, 0, "{kind:?}");
    }
}
