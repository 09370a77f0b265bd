//! Files of volumes: whole, in ranges, in parts; directories; who may.

use crannog_store::testing::Kind;
use serde_json::{Value, json};

use crate::world::World;

const RAW: &str = "/api/2.0/fs/files/Volumes/main/flights/raw";
const DIR: &str = "/api/2.0/fs/directories/Volumes/main/flights/raw";

#[tokio::test(flavor = "multi_thread")]
async fn files_go_there_and_back() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(world.send("admin", "PUT", &format!("{RAW}/deep/er/f.bin"), &[], &content).await.status, 204);
        let got = world.get("admin", &format!("{RAW}/deep/er/f.bin")).await;
        assert_eq!((got.status, got.body.len()), (200, content.len()));
        assert!(got.body == content);
        assert_eq!(got.headers["content-length"], "3000000");
        assert_eq!(got.headers["content-type"], "application/octet-stream");
        assert!(got.headers["last-modified"].ends_with(" GMT"));
        let head = world.send("admin", "HEAD", &format!("{RAW}/deep/er/f.bin"), &[], b"").await;
        assert_eq!((head.status, head.headers["content-length"].as_str(), head.body.len()), (200, "3000000", 0));
        for (range, wanted, shown) in [
            ("bytes=0-9", 0..10, "bytes 0-9/3000000"),
            ("bytes=1000000-", 1_000_000..3_000_000, "bytes 1000000-2999999/3000000"),
            ("bytes=-5", 2_999_995..3_000_000, "bytes 2999995-2999999/3000000"),
        ] {
            let part = world.send("admin", "GET", &format!("{RAW}/deep/er/f.bin"), &[("Range", range)], b"").await;
            assert_eq!((part.status, part.headers["content-range"].as_str()), (206, shown));
            assert!(part.body == content[wanted]);
        }
        let beyond =
            world.send("admin", "GET", &format!("{RAW}/deep/er/f.bin"), &[("Range", "bytes=3000000-")], b"").await;
        assert_eq!((beyond.status, beyond.headers["content-range"].as_str()), (416, "bytes */3000000"));
        let date = [("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(world.send("admin", "GET", &format!("{RAW}/deep/er/f.bin"), &date, b"").await.status, 412);

        // Replaced unless it is said otherwise; an empty file is a file.
        assert_eq!(world.send("admin", "PUT", &format!("{RAW}/deep/er/f.bin"), &[], b"").await.status, 204);
        let kept = world.send("admin", "PUT", &format!("{RAW}/deep/er/f.bin?overwrite=false"), &[], b"x").await;
        assert_eq!((kept.status, kept.error_code().as_str()), (409, "ALREADY_EXISTS"));
        let empty = world.get("admin", &format!("{RAW}/deep/er/f.bin")).await;
        assert_eq!((empty.status, empty.headers["content-length"].as_str()), (200, "0"));
        assert_eq!(world.delete("admin", &format!("{RAW}/deep/er/f.bin")).await.status, 204);
        for method in ["GET", "HEAD", "DELETE"] {
            assert_eq!(
                world.send("admin", method, &format!("{RAW}/deep/er/f.bin"), &[], b"").await.status,
                404,
                "{method}"
            );
        }
        // Every name that a path may have, encoded once.
        for (encoded, name) in [
            ("a%20b.csv", "a b.csv"),
            ("100%25.csv", "100%.csv"),
            ("%252e%252e", "%2e%2e"),
            ("%F0%9F%A6%AB.txt", "🦫.txt"),
            ("q%3Fx%23y%26z", "q?x#y&z"),
            ("plus+minus", "plus+minus"),
            ("back%5Cslash", "back\\slash"),
        ] {
            assert_eq!(
                world.send("admin", "PUT", &format!("{RAW}/names/{encoded}"), &[], name.as_bytes()).await.status,
                204
            );
            assert_eq!(world.get("admin", &format!("{RAW}/names/{encoded}")).await.body, name.as_bytes(), "{name}");
            let listed = world.get("admin", &format!("{DIR}/names")).await.ok();
            let names: Vec<&Value> =
                listed["contents"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
            assert_eq!(names, [&json!(name)]);
            assert_eq!(world.delete("admin", &format!("{RAW}/names/{encoded}")).await.status, 204);
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_are_made_listed_and_removed() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        assert_eq!(world.get("admin", DIR).await.ok()["contents"], json!([]));
        assert_eq!(world.send("admin", "PUT", &format!("{DIR}/a/b"), &[], b"").await.status, 204);
        assert_eq!(world.send("admin", "PUT", &format!("{DIR}/a/b/"), &[], b"").await.status, 204);
        assert_eq!(world.send("admin", "HEAD", &format!("{DIR}/a/b"), &[], b"").await.status, 200);
        assert_eq!(world.send("admin", "HEAD", &format!("{DIR}/a/c"), &[], b"").await.status, 404);
        assert_eq!(world.get("admin", &format!("{DIR}/none")).await.status, 404);
        for number in 0..9 {
            world.send("admin", "PUT", &format!("{RAW}/a/f{number}"), &[], b"123").await;
        }
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = world.get("admin", &format!("{DIR}/a?page_size=4&page_token={token}")).await.ok();
            let contents = page["contents"].as_array().unwrap().clone();
            assert!(contents.len() <= 4);
            seen.extend(contents);
            match page["next_page_token"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen.len(), 10);
        assert_eq!(
            (&seen[0]["path"], &seen[0]["is_directory"]),
            (&json!("/Volumes/main/flights/raw/a/b"), &json!(true))
        );
        assert_eq!((&seen[1]["name"], &seen[1]["file_size"]), (&json!("f0"), &json!(3)));
        assert!(seen[1]["last_modified"].as_i64().unwrap() > 1_500_000_000_000);
        let full = world.delete("admin", &format!("{DIR}/a")).await;
        assert_eq!((full.status, full.error_code().as_str()), (400, "DIRECTORY_NOT_EMPTY"));
        assert_eq!(world.delete("admin", &format!("{DIR}/a/b")).await.status, 204);
        assert_eq!(world.delete("admin", &format!("{DIR}/a/b")).await.status, 404);
        assert_eq!(world.delete("admin", DIR).await.status, 400);
        // A file is no directory, and the other way round.
        assert_eq!(world.get("admin", &format!("{DIR}/a/f0")).await.status, 400);
        assert_eq!(world.get("admin", &format!("{RAW}/a")).await.status, 400);
        assert_eq!(world.send("admin", "PUT", &format!("{RAW}/a"), &[], b"x").await.status, 400);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_need_the_volumes_privileges() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.send("admin", "PUT", &format!("{RAW}/f"), &[], b"x").await;
        let (there, not_there) = (
            world.get("ana", &format!("{RAW}/f")).await,
            world.get("ana", &format!("{}/f", RAW.replace("raw", "rew"))).await,
        );
        assert_eq!(there.status, 404);
        assert_eq!(there.without_ids().1.to_string(), not_there.without_ids().1.to_string().replace("rew", "raw"));
        world.grant("catalog", "main", "ana", &["USE CATALOG", "USE SCHEMA", "READ VOLUME"]).await;
        assert_eq!(world.get("ana", &format!("{RAW}/f")).await.body, b"x");
        for (method, path) in [("PUT", RAW), ("DELETE", RAW), ("PUT", DIR), ("DELETE", DIR)] {
            let denied = world.send("ana", method, &format!("{path}/f"), &[], b"y").await;
            assert_eq!(denied.status, 403, "{method} {path}");
            assert!(denied.json()["message"].as_str().unwrap().contains("WRITE VOLUME on main.flights.raw"));
        }
        let begin = world.post("ana", &format!("{RAW}/g?action=initiate-upload"), json!({})).await;
        assert_eq!(begin.status, 403);
        assert_eq!(world.get("", &format!("{RAW}/f")).await.status, 401);
        assert_eq!(world.get("admin", &format!("{RAW}/f")).await.body, b"x");
        world.stop().await;
    }
}

async fn begin(world: &World, query: &str) -> String {
    let begun =
        world.send("admin", "POST", &format!("{RAW}/big.bin?action=initiate-upload{query}"), &[], b"").await.ok();
    begun["multipart_upload"]["session_token"].as_str().unwrap().to_owned()
}

async fn addresses(world: &World, session: &str, first: u32, count: u32) -> Vec<String> {
    let made = world
        .post(
            "admin",
            "/api/2.0/fs/create-upload-part-urls",
            json!({
        "path": "/Volumes/main/flights/raw/big.bin", "session_token": session, "start_part_number": first,
        "count": count, "expire_time": "2030-01-01T00:00:00Z" }),
        )
        .await
        .ok();
    let urls = made["upload_part_urls"].as_array().unwrap().clone();
    let path = |url: &Value| url["url"].as_str().unwrap().strip_prefix(&world.base()).unwrap().to_owned();
    urls.iter().map(path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_come_in_parts_without_a_token() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let session = begin(&world, "").await;
        let urls = addresses(&world, &session, 1, 3).await;
        assert_eq!(urls.len(), 3);
        let mut parts = Vec::new();
        for (number, url) in urls.iter().enumerate().rev() {
            let part = vec![b'a' + u8::try_from(number).unwrap(); 100_000];
            let put = world.send("", "PUT", url, &[("Content-Type", "application/octet-stream")], &part).await;
            assert_eq!(put.status, 200);
            parts.insert(0, json!({ "part_number": number + 1, "etag": put.headers["etag"] }));
        }
        // Nothing is there before the end, and an address is good once.
        assert_eq!(world.get("admin", &format!("{RAW}/big.bin")).await.status, 404);
        assert_eq!(world.get("admin", DIR).await.ok()["contents"], json!([]));
        let again = world.send("", "PUT", &urls[0], &[], b"evil").await;
        assert_eq!(again.status, 403);
        assert!(String::from_utf8_lossy(&again.body).contains("<Message>Request has expired</Message>"));
        let complete = format!("{RAW}/big.bin?action=complete-upload&upload_type=multipart&session_token={session}");
        world.post("admin", &complete, json!({ "parts": parts })).await.ok();
        let got = world.get("admin", &format!("{RAW}/big.bin")).await;
        assert_eq!(got.body.len(), 300_000);
        assert!((got.body[0], got.body[150_000], got.body[299_999]) == (b'a', b'b', b'c'));
        assert_eq!(world.post("admin", &complete, json!({ "parts": parts })).await.status, 404);

        // Never over a file that may not be replaced, neither at the beginning nor at the end.
        let taken = world
            .send("admin", "POST", &format!("{RAW}/big.bin?action=initiate-upload&overwrite=false"), &[], b"")
            .await;
        assert_eq!((taken.status, taken.error_code().as_str()), (409, "ALREADY_EXISTS"));
        world.delete("admin", &format!("{RAW}/big.bin")).await;
        let session = begin(&world, "&overwrite=false").await;
        let url = addresses(&world, &session, 1, 1).await.remove(0);
        world.send("", "PUT", &url, &[], b"late").await;
        world.send("admin", "PUT", &format!("{RAW}/big.bin"), &[], b"early").await;
        let complete = format!("{RAW}/big.bin?action=complete-upload&session_token={session}");
        let late = world.post("admin", &complete, json!({ "parts": [{ "part_number": 1 }] })).await;
        assert_eq!((late.status, late.error_code().as_str()), (409, "ALREADY_EXISTS"));
        assert_eq!(world.get("admin", &format!("{RAW}/big.bin")).await.body, b"early");
        world
            .post("admin", &format!("{RAW}/big.bin?action=abort-upload&session_token={session}"), json!({}))
            .await
            .ok();

        // A session is for one path; a part that was never put is named; nonsense is refused.
        let session = begin(&world, "").await;
        let other = format!("{RAW}/other.bin?action=complete-upload&session_token={session}");
        assert_eq!(world.post("admin", &other, json!({ "parts": [] })).await.status, 404);
        let complete = format!("{RAW}/big.bin?action=complete-upload&session_token={session}");
        let missing = world.post("admin", &complete, json!({ "parts": [{ "part_number": 1 }] })).await;
        assert_eq!(missing.status, 400);
        let twice = json!({ "parts": [{ "part_number": 1 }, { "part_number": 1 }] });
        assert_eq!(world.post("admin", &complete, twice).await.status, 400);
        for bad in
            ["action=fly", "action=complete-upload&session_token=x", "action=complete-upload&session_token=../../x.new"]
        {
            let refused = world.post("admin", &format!("{RAW}/big.bin?{bad}"), json!({})).await;
            assert!((400..405).contains(&refused.status), "{bad}");
        }
        for (first, count) in [(0, 1), (-1, 1), (10_001, 1), (9_999, 5)] {
            let refused = world.post("admin", "/api/2.0/fs/create-upload-part-urls", json!({
                "path": "/Volumes/main/flights/raw/big.bin", "session_token": session, "start_part_number": first, "count": count })).await;
            assert_eq!(refused.status, 400, "{first}");
        }
        // Aborted: its addresses are dead.
        let url = addresses(&world, &session, 1, 1).await.remove(0);
        world
            .post("admin", &format!("{RAW}/big.bin?action=abort-upload&session_token={session}"), json!({}))
            .await
            .ok();
        assert_eq!(world.send("", "PUT", &url, &[], b"x").await.status, 403);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_very_many_addresses_of_parts_takes_none_from_others() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        world.grant("catalog", "main", "ana", &["USE_CATALOG"]).await;
        world.grant("schema", "main.flights", "ana", &["USE_SCHEMA"]).await;
        world.grant("volume", "main.flights.raw", "ana", &["READ_VOLUME", "WRITE_VOLUME"]).await;
        let (session, begin) = (begin(&world, "").await, format!("{RAW}/hers.bin?action=initiate-upload"));
        let begun = world.post("ana", &begin, json!({})).await.ok();
        let hers = world
            .post(
                "ana",
                "/api/2.0/fs/create-upload-part-urls",
                json!({
            "path": "/Volumes/main/flights/raw/hers.bin", "session_token": begun["multipart_upload"]["session_token"],
            "start_part_number": 1, "count": 1 }),
            )
            .await
            .ok();
        let hers = hers["upload_part_urls"][0]["url"].as_str().unwrap().strip_prefix(&world.base()).unwrap().to_owned();
        let mut his = Vec::new();
        for _ in 0..11 {
            his.extend(addresses(&world, &session, 1, 1_000).await);
        }
        let put = async |url: &str| world.send("", "PUT", url, &[], b"x").await.status;
        // Of his own the first thousand are gone.
        assert_eq!((put(&his[0]).await, put(&his[999]).await), (403, 403), "{kind:?}");
        assert_eq!((put(&his[1_000]).await, put(&his[10_999]).await), (200, 200), "{kind:?}");
        assert_eq!(put(&hers).await, 200, "{kind:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn every_change_of_a_file_is_in_the_audit() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let file = "/api/2.0/fs/files/Volumes/main/flights/raw/a/b.csv";
        let folder = "/api/2.0/fs/directories/Volumes/main/flights/raw/a";
        assert_eq!(world.send("admin", "PUT", file, &[], b"x,y").await.status, 204);
        assert_eq!(world.send("admin", "PUT", &format!("{file}?overwrite=false"), &[], b"z").await.status, 409);
        assert_eq!(world.delete("admin", file).await.status, 204);
        assert_eq!(world.delete("admin", file).await.status, 404);
        assert_eq!(world.delete("admin", folder).await.status, 204);
        assert_eq!(world.delete("stranger", file).await.status, 404);
        let path = "/Volumes/main/flights/raw/a/b.csv";
        let put = json!({ "path": path, "volume_full_name": "main.flights.raw", "receivedContentLength": 3 });
        assert_eq!(world.audit("filesPut").await, [(put, 200)], "{kind:?}");
        let deleted = json!({ "path": path, "volume_full_name": "main.flights.raw" });
        assert_eq!(world.audit("filesDelete").await, [(deleted, 200)], "{kind:?}");
        assert_eq!(world.audit("filesDeleteDirectory").await.len(), 1);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_download_is_one_row_of_the_audit_however_many_ranges_it_has() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let file = format!("{RAW}/a.bin");
        assert_eq!(world.send("admin", "PUT", &file, &[], b"0123456789").await.status, 204);
        // No bytes, no row.
        assert_eq!(world.send("admin", "HEAD", &file, &[], b"").await.status, 200);
        assert_eq!(world.send("admin", "GET", &file, &[("Range", "bytes=10-")], b"").await.status, 416);
        assert_eq!(world.audit("filesGet").await, []);
        for range in ["bytes=5-9", "bytes=0-4", "bytes=5-9"] {
            assert_eq!(world.send("admin", "GET", &file, &[("Range", range)], b"").await.status, 206);
        }
        assert_eq!(world.get("admin", &file).await.status, 200);
        let row = json!({ "path": "/Volumes/main/flights/raw/a.bin", "volume_full_name": "main.flights.raw", "contentLength": 10 });
        assert_eq!(world.audit("filesGet").await, [(row.clone(), 200)], "{kind:?}");
        // Another person's is another one; who may not read reads nothing.
        assert_eq!(world.get("ana", &file).await.status, 404);
        world.grant("catalog", "main", "ana", &["USE CATALOG", "USE SCHEMA", "READ VOLUME"]).await;
        assert_eq!(world.get("ana", &file).await.status, 200);
        assert_eq!(world.audit("filesGet").await, [(row.clone(), 200), (row, 200)], "{kind:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_change_that_fails_after_its_audit_row_has_a_second_row() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let folder = "/api/2.0/fs/directories/Volumes/main/flights/raw/a";
        assert_eq!(
            world.send("admin", "PUT", "/api/2.0/fs/files/Volumes/main/flights/raw/a/b", &[], b"x").await.status,
            204
        );
        assert_eq!(world.delete("admin", folder).await.status, 400);
        let rows = world.audit("filesDeleteDirectory").await;
        assert_eq!(rows.iter().map(|(_, status)| *status).collect::<Vec<_>>(), [200, 400], "{kind:?}");
        world.stop().await;
    }
}
