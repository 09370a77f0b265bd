//! SCIM: lists, filters, memberships, what is refused.

use serde_json::{Value, json};

const USERS: &str = "/api/2.0/preview/scim/v2/Users";
const GROUPS: &str = "/api/2.0/preview/scim/v2/Groups";
const PROGRAMS: &str = "/api/2.0/preview/scim/v2/ServicePrincipals";

fn names(list: &Value, field: &str) -> Vec<String> {
    list["Resources"].as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

on_each! {
    /// Pages, filters and attributes, read by somebody who is no administrator.
    async fn lists_are_filtered_paged_and_cut(world: &World) {
        for name in ["ana", "ben", "cleo", "dora"] {
            world.user(&format!("{name}@example.com")).await;
        }
        let ana = world.token_for("ana@example.com").await;
        let filter = |text: &str| format!("{USERS}?filter={}", text.replace(' ', "%20").replace('"', "%22"));
        let found = world.get(&ana, &filter("userName eq \"BEN@example.com\"")).await.of(200);
        assert_eq!(names(&found, "userName"), ["ben@example.com"]);
        assert_eq!(found["totalResults"], 1);
        let found = world.get(&ana, &filter("userName co \"@example\" and not (userName sw \"a\")")).await.of(200);
        assert_eq!(found["totalResults"], 3);
        let found = world.get(&ana, &filter("groups.display eq \"admins\"")).await.of(200);
        assert_eq!(names(&found, "userName"), ["admin"]);
        let bad = world.get(&ana, &filter("userName is \"x\"")).await.of(400);
        assert_eq!(bad["scimType"], "invalidValue");
        assert_eq!(bad["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
        let page = format!("{USERS}?startIndex=2&count=2&sortBy=userName&sortOrder=ascending&attributes=userName");
        let found = world.get(&ana, &page).await.of(200);
        assert_eq!(names(&found, "userName"), ["ana@example.com", "ben@example.com"]);
        assert_eq!((&found["totalResults"], &found["startIndex"], &found["itemsPerPage"]), (&json!(5), &json!(2), &json!(2)));
        assert!(found["Resources"][0].get("emails").is_none() && found["Resources"][0].get("id").is_some());
        let past = world.get(&ana, &format!("{USERS}?startIndex=6&count=10000")).await.of(200);
        assert_eq!(past["Resources"], json!([]));
    }

    /// Names are unique over all kinds, without case.
    async fn a_name_is_taken_once(world: &World) {
        world.user("ana@example.com").await;
        let again = world.post(&world.admin(), USERS, json!({ "userName": "Ana@Example.com" })).await;
        assert_eq!(again.status, 409);
        assert_eq!(again.json()["scimType"], "uniqueness");
        assert_eq!(world.post(&world.admin(), GROUPS, json!({ "displayName": "ANA@example.com" })).await.status, 409);
        for bad in ["", " ana", "a\nb", "ana", "ana@", "@example.com", "a@b@c", "ana maria@example.com"] {
            assert_eq!(world.post(&world.admin(), USERS, json!({ "userName": bad })).await.status, 400, "{bad}");
        }
        let group = world.group("analysts").await;
        world.group("engineers").await;
        let path = format!("{GROUPS}/{group}");
        let rename = |name: &str| json!({ "Operations": [{ "op": "replace", "path": "displayName", "value": name }] });
        assert_eq!(world.patch(&world.admin(), &path, rename("Engineers")).await.status, 409);
        assert_eq!(world.patch(&world.admin(), &path, rename("Analysts")).await.of(200)["displayName"], "Analysts");
    }

    /// Given and family names are kept beside the display name, whichever way they come.
    async fn names_in_parts_are_kept(world: &World) {
        let admin = world.admin();
        let body = json!({ "userName": "mia@example.com", "displayName": "Mia", "externalId": "e-1",
            "name": { "givenName": "Mia", "familyName": "Berg" }, "emails": [{ "value": "mia@example.com" }] });
        let made = world.post(&admin, USERS, body).await.of(201);
        let path = format!("{USERS}/{}", made["id"].as_str().unwrap());
        let name = |given: &str, family: &str| json!({ "formatted": format!("{given} {family}").trim(), "givenName": given, "familyName": family });
        for shown in [&made, &world.get(&admin, &path).await.of(200)] {
            assert_eq!((&shown["displayName"], &shown["name"]), (&json!("Mia"), &name("Mia", "Berg")));
            assert_eq!((&shown["emails"][0]["value"], &shown["emails"][0]["primary"]), (&json!("mia@example.com"), &json!(true)));
        }
        let patch = |operation: Value| json!({ "Operations": [operation] });
        let one = patch(json!({ "op": "Replace", "path": "name.familyName", "value": "Wald" }));
        assert_eq!(world.patch(&admin, &path, one).await.of(200)["name"], name("Mia", "Wald"));
        let both = patch(json!({ "op": "replace", "value": { "name": { "givenName": "Ida" }, "displayName": "I. Wald" } }));
        let shown = world.patch(&admin, &path, both).await.of(200);
        assert_eq!((&shown["displayName"], &shown["name"]), (&json!("I. Wald"), &name("Ida", "Wald")));
        let bad = patch(json!({ "op": "replace", "path": "name.givenName", "value": 1 }));
        assert_eq!(world.patch(&admin, &path, bad).await.status, 400);
        let found = world.get(&admin, &format!("{USERS}?filter=name.familyName%20eq%20%22Wald%22")).await.of(200);
        assert_eq!(names(&found, "userName"), ["mia@example.com"]);
        let put = json!({ "userName": "mia@example.com", "name": { "givenName": "Mia", "familyName": "See" } });
        let shown = world.call(&admin, "PUT", &path, put).await.of(200);
        assert_eq!((&shown["displayName"], &shown["name"]), (&json!("Mia See"), &name("Mia", "See")));
        let shown = world.call(&admin, "PUT", &path, json!({ "userName": "mia@example.com", "displayName": "M" })).await.of(200);
        assert_eq!((&shown["displayName"], shown.get("name")), (&json!("M"), None));
        // A program has no such name.
        let program = world.post(&admin, PROGRAMS, json!({ "displayName": "nightly" })).await.of(201);
        let path = format!("{PROGRAMS}/{}", program["id"].as_str().unwrap());
        let named = patch(json!({ "op": "replace", "path": "name.givenName", "value": "N" }));
        assert_eq!(world.patch(&admin, &path, named).await.status, 400);
    }

    /// Direct and nested groups of a user; members of a group; replacing them.
    async fn memberships_are_shown_and_replaced(world: &World) {
        let admin = world.admin();
        let (ana, ben) = (world.user("ana@example.com").await, world.user("ben@example.com").await);
        let (inner, outer) = (world.group("inner").await, world.group("outer").await);
        let body = json!({ "displayName": "outer", "members": [{ "value": inner }] });
        world.call(&admin, "PUT", &format!("{GROUPS}/{outer}"), body).await.of(200);
        let body = json!({ "displayName": "inner", "members": [{ "value": ana }, { "value": ben }] });
        let put = world.call(&admin, "PUT", &format!("{GROUPS}/{inner}"), body).await.of(200);
        assert_eq!(put["members"].as_array().unwrap().len(), 2);
        let shown = world.get(&admin, &format!("{USERS}/{ana}")).await.of(200);
        let mut groups: Vec<(String, String)> = shown["groups"].as_array().unwrap().iter()
            .map(|group| (group["display"].as_str().unwrap().to_owned(), group["type"].as_str().unwrap().to_owned()))
            .collect();
        groups.sort();
        let wanted = [("account users", "indirect"), ("inner", "direct"), ("outer", "indirect")];
        assert_eq!(groups, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let remove = json!({ "Operations": [{ "op": "remove", "path": "members", "value": [{ "value": ben }] }] });
        let left = world.patch(&admin, &format!("{GROUPS}/{inner}"), remove).await.of(200);
        assert_eq!(left["members"][0]["value"], ana.as_str());
        let all = world.get(&admin, &format!("{GROUPS}?filter=displayName%20eq%20%22account%20users%22")).await.of(200);
        assert_eq!(all["Resources"][0]["members"].as_array().unwrap().len(), 3);
        assert_eq!(world.identity.ground().account_users.to_string(), all["Resources"][0]["id"].as_str().unwrap());
    }

    /// What would break the installation is refused.
    async fn the_program_and_its_last_administrator_stay(world: &World) {
        let admin = world.admin();
        let me = world.get(&admin, "/api/2.0/preview/scim/v2/Me").await.of(200);
        let (me, ground) = (me["id"].as_str().unwrap(), world.identity.ground());
        let delete = |path: String| { let admin = admin.clone(); async move { world.call(&admin, "DELETE", &path, Value::Null).await } };
        assert_eq!(delete(format!("{USERS}/{me}")).await.status, 400);
        assert_eq!(delete(format!("{GROUPS}/{}", ground.admins)).await.status, 400);
        assert_eq!(delete(format!("{GROUPS}/{}", ground.account_users)).await.status, 400);
        let off = json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
        assert_eq!(world.patch(&admin, &format!("{USERS}/{me}"), off).await.status, 400);
        let out = json!({ "Operations": [{ "op": "remove", "path": format!("members[value eq \"{me}\"]") }] });
        assert_eq!(world.patch(&admin, &format!("{GROUPS}/{}", ground.admins), out).await.status, 400);
        let into = json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": me }] }] });
        assert_eq!(world.patch(&admin, &format!("{GROUPS}/{}", ground.account_users), into).await.status, 400);
        assert_eq!(world.get(&admin, &format!("{USERS}/{me}")).await.of(200)["active"], true);
        assert_eq!(world.get(&admin, &format!("{USERS}/{}", ground.admins)).await.status, 404);
        assert_eq!(world.get(&admin, &format!("{USERS}/nobody")).await.status, 404);
    }

    /// Service principals are named by a UUID, and can become administrators by membership.
    async fn service_principals_are_principals(world: &World) {
        let admin = world.admin();
        let made = world.post(&admin, PROGRAMS, json!({ "displayName": "nightly" })).await.of(201);
        let application = made["applicationId"].as_str().unwrap();
        assert_eq!(application.len(), 36);
        assert_eq!(world.post(&admin, PROGRAMS, json!({ "applicationId": "x" })).await.status, 400);
        let path = "/api/2.0/token-management/on-behalf-of/tokens";
        let token = world.post(&admin, path, json!({ "application_id": application })).await.of(200);
        let token = token["token_value"].as_str().unwrap();
        assert_eq!(world.get(token, "/api/2.0/preview/scim/v2/Me").await.of(200)["userName"], application);
        assert_eq!(world.post(token, USERS, json!({ "userName": "x@example.com" })).await.status, 403);
        let into = json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": made["id"] }] }] });
        world.patch(&admin, &format!("{GROUPS}/{}", world.identity.ground().admins), into).await.of(200);
        assert_eq!(world.post(token, USERS, json!({ "userName": "x@example.com" })).await.status, 201);
    }
}
