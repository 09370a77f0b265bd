//! How deep groups are nested.

use std::collections::HashMap;

use crannog_types::PrincipalId;

/// Databricks' limit: ten groups, one in the other.
pub(crate) const DEEPEST: usize = 10;

/// How many groups would be one in the other on the longest way through a new edge. The edges have no cycle.
pub(crate) fn depth_with(edges: &[(PrincipalId, PrincipalId)], group: PrincipalId, member: PrincipalId) -> usize {
    let (mut above, mut below) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
    for (group, member) in edges {
        above.entry(*member).or_default().push(*group);
        below.entry(*group).or_default().push(*member);
    }
    longest(group, &above, &mut HashMap::new()) + longest(member, &below, &mut HashMap::new())
}

fn longest(
    from: PrincipalId,
    next: &HashMap<PrincipalId, Vec<PrincipalId>>,
    known: &mut HashMap<PrincipalId, usize>,
) -> usize {
    if let Some(length) = known.get(&from) {
        return *length;
    }
    let further = next.get(&from).into_iter().flatten().map(|to| longest(*to, next, known)).max().unwrap_or(0);
    known.insert(from, further + 1);
    further + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_way_counts() {
        let edges: Vec<_> = [(1, 2), (2, 3), (1, 3), (5, 6)].map(|(g, m)| (PrincipalId(g), PrincipalId(m))).into();
        assert_eq!(depth_with(&edges, PrincipalId(3), PrincipalId(5)), 5);
        assert_eq!(depth_with(&edges, PrincipalId(8), PrincipalId(9)), 2);
    }
}
