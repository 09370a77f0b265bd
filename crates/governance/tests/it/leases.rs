//! What goes on for long ends when what allowed it is revoked: uploads, downloads, addresses of parts.

use crannog_store::testing::Kind;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::World;

const FILE: &str = "/api/2.0/fs/files/Volumes/main/flights/raw/f";

/// Ana may read and write the volume `raw`.
async fn world(kind: Kind) -> World {
    let world = World::flights(kind).await;
    world.grant("catalog", "main", "ana", &["USE_CATALOG"]).await;
    world.grant("schema", "main.flights", "ana", &["USE_SCHEMA"]).await;
    world.grant("volume", "main.flights.raw", "ana", &["READ_VOLUME", "WRITE_VOLUME"]).await;
    world
}

/// Takes from Ana, in one of two ways, what she is using.
async fn revoke(world: &World, token: bool) {
    if token {
        world.revoke_token("ana");
    } else {
        world.change("volume", "main.flights.raw", "ana", &[], &["READ_VOLUME", "WRITE_VOLUME"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_permit_is_revoked_in_the_middle_leaves_nothing() {
    for (kind, token) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let world = world(kind).await;
        let half = vec![1_u8; 300_000];
        let mut stream = world.begin("ana", "PUT", FILE, &[], half.len() * 2).await;
        stream.write_all(&half).await.unwrap();
        revoke(&world, token).await;
        let _ = stream.write_all(&half).await;
        let answer = World::answer(stream).await;
        assert_eq!(answer.status, if token { 401 } else { 404 }, "{kind:?}");
        assert_eq!(world.get("admin", FILE).await.status, 404);
        assert!(world.audit("filesPut").await.iter().all(|(_, status)| *status != 200), "{kind:?}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_whose_permit_is_revoked_in_the_middle_ends() {
    for (kind, token) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let world = world(kind).await;
        // More than the sockets between hold.
        let size = 64 << 20;
        assert_eq!(world.send("admin", "PUT", FILE, &[], &vec![7_u8; size]).await.status, 204);
        let mut stream = world.begin("ana", "GET", FILE, &[], 0).await;
        let mut some = vec![0_u8; 1 << 20];
        stream.read_exact(&mut some).await.unwrap();
        assert!(some.starts_with(b"HTTP/1.1 200"));
        revoke(&world, token).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < size - some.len(), "{kind:?}: everything came");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_part_is_good_while_its_maker_may_write() {
    for (kind, token) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let world = world(kind).await;
        let begun = world.post("ana", &format!("{FILE}?action=initiate-upload"), json!({})).await.ok();
        let session = begun["multipart_upload"]["session_token"].as_str().unwrap().to_owned();
        let asked = json!({
            "path": "/Volumes/main/flights/raw/f", "session_token": session, "start_part_number": 1, "count": 2
        });
        let urls = world.post("ana", "/api/2.0/fs/create-upload-part-urls", asked).await.ok();
        let path = |at: usize| {
            let url = urls["upload_part_urls"][at]["url"].as_str().unwrap();
            url.strip_prefix(&world.base()).unwrap().to_owned()
        };
        assert_eq!(world.send("", "PUT", &path(0), &[], b"one").await.status, 200);
        revoke(&world, token).await;
        let refused = world.send("", "PUT", &path(1), &[], b"two").await;
        assert_eq!(refused.status, if token { 401 } else { 404 }, "{kind:?}");
        world.stop().await;
    }
}
