//! Searches over both databases against a plain reading of the same filters and orders in memory.

use std::sync::Arc;

use crannog_kit::{Authority, Recorder, Tasks};
use crannog_security::actions::{experiments, warehouses};
use crannog_security::{Origin, ScopeOf, Visible, Who};
use crannog_store::testing::Kind;
use crannog_store::{Row, params};
use crannog_tracking::model::experiments::View;
use crannog_tracking::model::search::{Entity, Filter, PageToken, experiments_order, runs_order};
use crannog_tracking::service::{Asked, runs};
use crannog_tracking::sql::Page;
use crannog_tracking::sql::search_experiments::{ExperimentSearch, search_experiments};
use crannog_tracking::sql::search_runs::{RunSearch, search_runs};
use crannog_types::{PrincipalId, Result};

use crate::searched::{Dice, Searched, experiment, system};

fn clauses(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn run_id(row: &Row) -> Result<String> {
    Ok(row.text(1)?)
}

/// Every page of a search, put together; each but the last is full.
async fn all_pages(searched: &Searched, search: &RunSearch<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut token: Option<PageToken> = None;
    loop {
        let page = RunSearch { page: token.as_ref(), ..search.clone() };
        let Page { found: runs, next, .. } = search_runs(&searched.db, &system(), &page, run_id).await.unwrap();
        let full = runs.len() == usize::try_from(search.max_results).unwrap();
        found.extend(runs);
        assert!(found.len() <= searched.runs.len(), "a run came twice");
        match next {
            Some(next) => {
                assert!(full, "a page with another behind it is not full");
                token = Some(next);
            }
            None => return found,
        }
    }
}

/// A condition out of the grammar.
fn some_filter(dice: &mut Dice, depth: usize) -> String {
    if depth > 0 && dice.once_in(2) {
        let (left, right) = (some_filter(dice, depth - 1), some_filter(dice, depth - 1));
        let word = dice.of(&["AND", "OR", "and"]);
        return if dice.once_in(2) { format!("({left}) {word} ({right})") } else { format!("{left} {word} {right}") };
    }
    let texts =
        ["a", "b", "A", "ab", "a%", "%b", "a_b", "A_B", "%\\%", "äx", "ÄX", "%", "", "it''s", "a%b", "0.5", "run%a%"];
    let text = |dice: &mut Dice| format!("'{}'", dice.of(&texts));
    let relation = |dice: &mut Dice| dice.of(&["=", "!=", "<", "<=", ">", ">="]);
    match dice.below(8) {
        0 | 1 => {
            let value = dice.of(&["0", "0.5", "1", "-1.5", "1e300", "-1e999", "1e999", "1.7976931348623157e308"]);
            format!("metrics.{} {} {value}", dice.of(&["m", "`a b`", "rare", "none"]), relation(dice))
        }
        2 => format!("{} {} {}", dice.of(&["start_time", "end_time"]), relation(dice), 999 + 1 + dice.below(12)),
        3 => {
            let key = dice.of(&["run_name", "status", "user_id", "run_id", "artifact_uri"]);
            let value = match (key, dice.below(3)) {
                ("status", _) => dice.of(&["'FINISHED'", "'finished'", "'F%'", "'_A%'"]).to_owned(),
                ("user_id", _) => dice.of(&["'ana'", "'be%'", "'B%'", "''"]).to_owned(),
                ("artifact_uri", _) => dice.of(&["'s3:%'", "'%/artifacts'", "'mlflow-artifacts:/1/%'"]).to_owned(),
                ("run_name", 0) => format!("'run{}'", dice.of(&texts)),
                _ => text(dice),
            };
            format!("{key} {} {value}", dice.of(&["=", "!=", "LIKE", "ILIKE", "like"]))
        }
        4 => {
            let key = dice.of(&["datasets.name", "dataset.context", "dataset.digest"]);
            format!(
                "{key} {} {}",
                dice.of(&["=", "!=", "LIKE", "ILIKE"]),
                dice.of(&["'flights'", "'TRAIN'", "'d1'", "'%a%'"])
            )
        }
        5 => {
            let key = dice.of(&["params.p", "tags.q", "params.none", "datasets.name"]);
            let (one, two) = (text(dice), text(dice));
            format!("{key} {} ({one}, 'flights', {two})", dice.of(&["IN", "NOT IN"]))
        }
        6 => format!("{} {}", dice.of(&["params.p", "tags.p", "tags.none"]), dice.of(&["IS NULL", "IS NOT NULL"])),
        _ => {
            let key = dice.of(&["params.p", "params.q", "tags.p", "tags.`q`", "tags.none"]);
            format!("{key} {} {}", dice.of(&["=", "!=", "LIKE", "ILIKE"]), text(dice))
        }
    }
}

const EXPERIMENTS: [&[i64]; 4] = [&[1], &[1, 2], &[2, 3, 1, 1], &[3, 99]];
const LIFECYCLES: [&[&str]; 3] = [&["active"], &["deleted"], &["active", "deleted"]];

#[tokio::test]
async fn random_filters_find_what_they_say() {
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 150, 1).await;
        let mut dice = Dice::new(2);
        let (mut some, mut none) = (0, 0);
        for _ in 0..250 {
            let written = some_filter(&mut dice, 3);
            let filter = Filter::parse(Entity::Runs, &written).unwrap();
            let experiments = EXPERIMENTS[dice.below(EXPERIMENTS.len())];
            let lifecycles = LIFECYCLES[dice.below(LIFECYCLES.len())];
            let search =
                RunSearch { experiments, lifecycles, filter: &filter, order: &[], max_results: 1000, page: None };
            let Page { found, next, .. } = search_runs(&searched.db, &system(), &search, run_id).await.unwrap();
            assert_eq!(next, None);
            let expected = searched.expected(experiments, lifecycles, &filter, &[]);
            assert_eq!(found, expected, "{kind:?} {written}");
            if found.is_empty() { none += 1 } else { some += 1 }
        }
        assert!(some > 60 && none > 10, "{some} {none}");
    }
}

#[tokio::test]
async fn pages_give_each_run_once_in_order() {
    let keys = [
        "metrics.m",
        "metrics.`a b`",
        "metrics.rare",
        "metrics.none",
        "params.p",
        "tags.q",
        "tags.none",
        "start_time",
        "end_time",
        "status",
        "run_name",
        "run_id",
        "user_id",
        "artifact_uri",
    ];
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 120, 3).await;
        let mut dice = Dice::new(4);
        for round in 0..80 {
            let mut written: Vec<String> = Vec::new();
            for _ in 0..dice.below(4) {
                let key = dice.of(&keys);
                if written.iter().all(|clause| !clause.starts_with(key)) {
                    written.push(format!("{key}{}", dice.of(&["", " ASC", " DESC", " desc"])));
                }
            }
            let order = runs_order(&written).unwrap();
            let text = if dice.once_in(2) { String::new() } else { some_filter(&mut dice, 1) };
            let filter = Filter::parse(Entity::Runs, &text).unwrap();
            // Few experiments are merged, many are sorted together.
            let many: Vec<i64> = (1..=20).collect();
            let experiments = if round % 5 == 0 { &many } else { EXPERIMENTS[dice.below(EXPERIMENTS.len())] };
            let lifecycles = LIFECYCLES[dice.below(LIFECYCLES.len())];
            let max_results = [1, 2, 3, 7, 20, 119][dice.below(6)];
            let search = RunSearch { experiments, lifecycles, filter: &filter, order: &order, max_results, page: None };
            let found = all_pages(&searched, &search).await;
            let expected = searched.expected(experiments, lifecycles, &filter, &order);
            assert_eq!(found, expected, "{kind:?} {written:?} {text} {max_results}");
        }
    }
}

#[tokio::test]
async fn the_largest_filters_are_answered() {
    let term = |number: usize| {
        let compared = if number < 20 { "LIKE" } else { "=" };
        format!("(params.p{number} {compared} '%\\%' OR metrics.m != {number})")
    };
    let most: Vec<String> = (0..200).map(term).collect();
    let long = format!("params.p LIKE '{}'", "\\".repeat(1_000));
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 20, 7).await;
        for written in [most.join(" AND "), most.join(" OR "), long.clone()] {
            let filter = Filter::parse(Entity::Runs, &written).unwrap();
            let order = runs_order(&clauses(&["metrics.m", "params.p"])).unwrap();
            let search = RunSearch {
                experiments: &[1, 2],
                lifecycles: &["active", "deleted"],
                filter: &filter,
                order: &order,
                max_results: 7,
                page: None,
            };
            let expected = searched.expected(&[1, 2], &["active", "deleted"], &filter, &order);
            assert_eq!(all_pages(&searched, &search).await, expected);
        }
    }
    assert!(Filter::parse(Entity::Runs, &format!("{} AND run_id = 'x'", most.join(" AND "))).is_err());
    for (more, told) in [
        (format!("params.p LIKE '{}'", "x".repeat(1_001)), "A pattern has at most 1000 bytes"),
        (vec!["params.p ILIKE '%a%'"; 21].join(" OR "), "21 LIKE and ILIKE comparisons; at most 20"),
    ] {
        let message = Filter::parse(Entity::Runs, &more).unwrap_err().to_string();
        assert!(message.contains(told), "{message}");
    }
}

/// Lists, names and experiments multiply in no statement beyond what both databases take.
#[tokio::test]
async fn many_values_are_compared_with() {
    let values: Vec<String> = (0..4_400).map(|number| format!("'{number}'")).collect();
    let listed = format!("params.p IN ({}, 'a', 'b', 'ab')", values.join(","));
    let named = ["run_name = 'runa'"; 4].join(" AND ");
    let few: Vec<i64> = (1..=4).collect();
    let many: Vec<i64> = (1..=10_000).collect();
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 60, 8).await;
        let lifecycles: &[&'static str] = &["active", "deleted"];
        for (written, experiments) in [(&listed, &few), (&listed, &many), (&named, &few), (&named, &many)] {
            let filter = Filter::parse(Entity::Runs, written).unwrap();
            for order in [Vec::new(), runs_order(&clauses(&["metrics.m"])).unwrap()] {
                let search =
                    RunSearch { experiments, lifecycles, filter: &filter, order: &order, max_results: 40, page: None };
                let found = all_pages(&searched, &search).await;
                assert_eq!(found, searched.expected(experiments, lifecycles, &filter, &order), "{kind:?}");
                assert!(!found.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn sixteen_keys_are_ordered_by_and_no_more() {
    let mut written: Vec<String> = (0..14).map(|number| format!("metrics.m{number}")).collect();
    written.extend(clauses(&["metrics.m DESC", "params.p"]));
    let order = runs_order(&written).unwrap();
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 40, 9).await;
        let (filter, lifecycles): (_, &[&'static str]) = (Filter::everything(), &["active", "deleted"]);
        for experiments in [&[1][..], &[1, 2, 3]] {
            let search =
                RunSearch { experiments, lifecycles, filter: &filter, order: &order, max_results: 7, page: None };
            let expected = searched.expected(experiments, lifecycles, &filter, &order);
            assert_eq!(all_pages(&searched, &search).await, expected, "{kind:?}");
        }
    }
    written.push("metrics.one_more".to_owned());
    let told = "`order_by` has 17 clauses; at most 16 can be ordered by at once.";
    assert_eq!(runs_order(&written).unwrap_err().to_string(), told);
    assert_eq!(experiments_order(&vec!["name".to_owned(); 17]).unwrap_err().to_string(), told);
}

/// What the service does for its callers: whom it tells of what, and where it ends a page.
#[tokio::test]
async fn pages_end_before_they_are_too_large() {
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 60, 10).await;
        let mut tx = searched.db.write_unaudited(&system()).await.unwrap();
        let sql = "INSERT INTO dataset (experiment, name, digest, source_type, source, schema) \
                   VALUES (1, 'large', 'd', 'local', '{}', $1) RETURNING seq";
        let large = tx.row(sql, params!["x".repeat(1 << 20)]).await.unwrap().unwrap().int(0).unwrap();
        tx.run("INSERT INTO run_dataset (run, dataset, tags) SELECT seq, $1, '{}' FROM run", params![large])
            .await
            .unwrap();
        // Ana sees the first experiment alone.
        tx.run("UPDATE securable SET owner = 2 WHERE name = '1'", params![]).await.unwrap();
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();

        let tasks = Tasks::new();
        let authority = Authority::new(searched.db.clone(), Recorder::start(searched.db.clone(), &tasks));
        for (id, name, seen) in [(1, "admin", &[1, 2, 3][..]), (2, "ana", &[1])] {
            let caller = authority.caller(Who { id: PrincipalId(id), name: name.into() }, Arc::new(Origin::default()));
            let visible: Visible<experiments::Read> = caller.visible(ScopeOf::root()).await.unwrap();
            let order_by = clauses(&["metrics.m", "params.p DESC"]);
            let (mut found, mut pages, mut token) = (Vec::new(), Vec::new(), String::new());
            loop {
                let asked = Asked { filter: "", order_by: &order_by, max_results: 1000, page_token: &token };
                // Doubles are one, however many they are.
                let among = [1, 2, 3].repeat(14_000);
                let (page, next) = runs::search(&searched.db, &visible, &among, View::All, &asked).await.unwrap();
                pages.push(page.len());
                for run in page {
                    let sizes = run.inputs.iter().filter_map(|input| input.schema.as_ref().map(String::len));
                    assert_eq!(sizes.collect::<Vec<_>>(), [1 << 20], "{kind:?}");
                    found.push(run.info.run_id);
                }
                match next {
                    Some(next) => token = next,
                    None => break,
                }
            }
            let order = runs_order(&order_by).unwrap();
            let expected = searched.expected(seen, &["active", "deleted"], &Filter::everything(), &order);
            assert_eq!(found, expected, "{kind:?} {name}");
            assert!(pages.iter().all(|page| *page <= 32), "{kind:?} {pages:?}");

            let too_many: Vec<i64> = (1..=10_001).collect();
            let asked = Asked { filter: "", order_by: &[], max_results: 1000, page_token: "" };
            let refused = runs::search(&searched.db, &visible, &too_many, View::All, &asked).await.unwrap_err();
            assert!(refused.to_string().starts_with("At most 10000 experiments"), "{refused}");
        }
        tasks.stop().await;
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_order_alone() {
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 30, 5).await;
        let filter = Filter::everything();
        let by_metric = runs_order(&clauses(&["metrics.m"])).unwrap();
        let search = RunSearch {
            experiments: &[1, 2, 3],
            lifecycles: &["active"],
            filter: &filter,
            order: &by_metric,
            max_results: 3,
            page: None,
        };
        let Page { next, .. } = search_runs(&searched.db, &system(), &search, run_id).await.unwrap();
        let token = next.unwrap();
        for order in [runs_order(&clauses(&["metrics.m DESC"])).unwrap(), Vec::new()] {
            let other = RunSearch { order: &order, page: Some(&token), ..search.clone() };
            let refused = search_runs(&searched.db, &system(), &other, run_id).await.unwrap_err();
            assert!(refused.to_string().starts_with("Invalid page token"), "{refused}");
        }
        let spoilt = PageToken { segment: 2, ..token };
        let other = RunSearch { page: Some(&spoilt), ..search.clone() };
        assert!(search_runs(&searched.db, &system(), &other, run_id).await.is_err());
        let nothing = RunSearch { experiments: &[], ..search };
        let Page { found, next, .. } = search_runs(&searched.db, &system(), &nothing, run_id).await.unwrap();
        assert_eq!((found.len(), next), (0, None));
    }
}

async fn experiments_of(
    searched: &Searched,
    visible: &Visible<warehouses::View>,
    filter: &str,
    order: &[&str],
    lifecycles: &[&'static str],
) -> Vec<i64> {
    let filter = Filter::parse(Entity::Experiments, filter).unwrap();
    let order = experiments_order(&clauses(order)).unwrap();
    let mut found = Vec::new();
    let mut token: Option<PageToken> = None;
    loop {
        let page = token.as_ref();
        let search = ExperimentSearch { lifecycles, filter: &filter, order: &order, max_results: 2, page };
        let read = |row: &Row| Ok(row.int(1)?);
        let Page { found: ids, next, .. } = search_experiments(&searched.db, visible, &search, read).await.unwrap();
        found.extend(ids);
        assert!(found.len() < 20);
        match next {
            Some(next) => token = Some(next),
            None => return found,
        }
    }
}

#[tokio::test]
async fn experiments_are_searched_among_those_seen() {
    for kind in Kind::ALL {
        let searched = Searched::with(kind, 0, 6).await;
        let mut tx = searched.db.write_unaudited(&system()).await.unwrap();
        // Ana owns the fifth and her group has a grant on the sixth.
        let fifth = experiment(&mut tx, 5, "fifth", None, "active").await;
        tx.run("UPDATE securable SET owner = 2 WHERE id = $1", params![fifth]).await.unwrap();
        let sixth = experiment(&mut tx, 6, "sixth", None, "active").await;
        let sql = "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
                   VALUES ($1, 10, 'CAN_READ', 0, 'admin')";
        tx.run(sql, params![sixth]).await.unwrap();
        for (id, value) in [(1, "x"), (2, "X"), (5, "y")] {
            let sql = "INSERT INTO experiment_tag (experiment, key, value) VALUES ($1, 't', $2)";
            tx.run(sql, params![id, value]).await.unwrap();
        }
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();

        let tasks = Tasks::new();
        let authority = Authority::new(searched.db.clone(), Recorder::start(searched.db.clone(), &tasks));
        // Any kind of object right below the root: what may be listed of it is decided alike.
        let mut seen = Vec::new();
        for (id, name) in [(1, "admin"), (2, "ana"), (4, "stranger")] {
            let caller = authority.caller(Who { id: PrincipalId(id), name: name.into() }, Arc::new(Origin::default()));
            seen.push(caller.visible::<warehouses::View>(ScopeOf::root()).await.unwrap());
        }
        let [admin, ana, stranger] = &seen[..] else { panic!() };
        let active: &[&'static str] = &["active"];
        let all: &[&'static str] = &["active", "deleted"];
        for (who, filter, order, lifecycles, expected) in [
            (admin, "", &[][..], active, &[6, 5, 2, 3, 1][..]),
            (admin, "", &[], all, &[6, 4, 5, 2, 3, 1]),
            (admin, "", &[], &["deleted"], &[4]),
            (admin, "", &["name"], active, &[2, 5, 1, 6, 3]),
            (admin, "", &["name DESC"], active, &[3, 6, 1, 5, 2]),
            (admin, "", &["creation_time"], active, &[1, 3, 2, 5, 6]),
            (admin, "", &["last_update_time desc", "name"], active, &[1, 2, 3, 5, 6]),
            (admin, "", &["experiment_id ASC"], active, &[1, 2, 3, 5, 6]),
            (admin, "name LIKE '%th'", &[], active, &[6, 5]),
            (admin, "name LIKE 's%'", &[], active, &[6]),
            (admin, "name ILIKE 'S%'", &[], active, &[6, 2]),
            (admin, "name LIKE 'third\\_x'", &[], active, &[]),
            (admin, "experiment_id IN ('1', '5', '77')", &[], active, &[5, 1]),
            (admin, "experiment_id NOT IN ('1', '5') AND experiment_id != '2'", &[], active, &[6, 3]),
            (admin, "tags.t = 'x'", &[], active, &[1]),
            (admin, "tags.t != 'x'", &[], active, &[5, 2]),
            (admin, "tags.t IS NULL", &[], active, &[6, 3]),
            (admin, "tags.t IN ('x', 'y') OR name = 'third_x'", &[], active, &[5, 3, 1]),
            (admin, "creation_time >= 102 AND creation_time < 103", &[], all, &[4, 5]),
            (ana, "", &[], all, &[6, 5]),
            (ana, "name = 'first'", &[], all, &[]),
            (ana, "name = 'fifth' OR name = 'first'", &[], all, &[5]),
            (stranger, "", &[], all, &[]),
        ] {
            let found = experiments_of(&searched, who, filter, order, lifecycles).await;
            assert_eq!(found, expected, "{kind:?} {filter} {order:?} {lifecycles:?}");
        }
        tasks.stop().await;
    }
}
