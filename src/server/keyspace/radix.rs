//! How many nodes a radix tree of Redis has (`rax.c`), which XINFO tells and memory depends on. The shape of the tree follows
//! from its keys alone.

/// The nodes of the tree of these keys, which are sorted and distinct: the root, one for each stretch without a branch, one for
/// each branch, one for each end.
#[must_use]
pub(in crate::server) fn nodes<K: AsRef<[u8]>>(keys: &[K]) -> u64 {
    let mut count = 0;
    // Ranges of keys that have so many bytes in common, and stand at one node.
    let mut open = vec![(0, keys.len(), 0)];
    while let Some((from, to, depth)) = open.pop() {
        count += 1;
        let own = from < to && keys[from].as_ref().len() == depth;
        let from = from + usize::from(own);
        if from == to {
            continue;
        }
        let (first, last) = (keys[from].as_ref(), keys[to - 1].as_ref());
        if first[depth] == last[depth] {
            let common = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
            open.push((from, to, depth + common));
            continue;
        }
        let mut start = from;
        while start < to {
            let byte = keys[start].as_ref()[depth];
            let len = keys[start..to].partition_point(|key| key.as_ref()[depth] == byte);
            open.push((start, start + len, depth + 1));
            start += len;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::nodes;

    #[test]
    fn trees_of_a_real_server() {
        let none: [&str; 0] = [];
        assert_eq!(nodes(&none), 1);
        assert_eq!(nodes(&["ANNIBALE"]), 2);
        // "ANNI" -> branch -> "ALE" and "NTARE", two ends.
        assert_eq!(nodes(&["ANNIBALE", "ANNIENTARE"]), 6);
        // "ANNI" -> "BALE" -> end.
        assert_eq!(nodes(&["ANNI", "ANNIBALE"]), 3);
        // A branch at the root.
        assert_eq!(nodes(&["ANNIBALE", "CIAO"]), 5);
        assert_eq!(nodes(&["a", "b"]), 3);
        assert_eq!(nodes(&["", "a"]), 2);
    }
}
