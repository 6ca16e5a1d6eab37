//! A quicksort that only puts a range of places right (`pqsort.c`). Which of several equal elements comes first shows in
//! replies, so the pivots and exchanges are Bentley and McIlroy's, as Redis has them.

use std::cmp::Ordering;

/// Sorts so that the places `from..=to` have what they would have if all were sorted.
pub(super) fn sort<T>(items: &mut [T], from: usize, to: usize, mut compare: impl FnMut(&T, &T) -> Ordering) {
    part(items, 0, (from, to), &mut compare);
}

fn median<T>(items: &[T], (a, b, c): (usize, usize, usize), compare: &mut impl FnMut(&T, &T) -> Ordering) -> usize {
    let mut less = |one: usize, other: usize| compare(&items[one], &items[other]) == Ordering::Less;
    if less(a, b) {
        if less(b, c) {
            b
        } else if less(a, c) {
            c
        } else {
            a
        }
    } else if less(c, b) {
        b
    } else if less(a, c) {
        a
    } else {
        c
    }
}

fn pivot<T>(items: &[T], compare: &mut impl FnMut(&T, &T) -> Ordering) -> usize {
    let n = items.len();
    let (mut low, mut middle, mut high) = (0, n / 2, n - 1);
    if n == 7 {
        return middle;
    }
    if n > 40 {
        let d = n / 8;
        low = median(items, (low, low + d, low + 2 * d), compare);
        middle = median(items, (middle - d, middle, middle + d), compare);
        high = median(items, (high - 2 * d, high - d, high), compare);
    }
    median(items, (low, middle, high), compare)
}

/// Sorts a part that begins at `base`, as far as it has wanted places.
fn part<T>(mut items: &mut [T], mut base: usize, wanted: (usize, usize), compare: &mut impl FnMut(&T, &T) -> Ordering) {
    let touches = |base: usize, len: usize| !(wanted.1 < base && wanted.0 < base || wanted.0 >= base + len);
    loop {
        let n = items.len();
        if n < 7 {
            for i in 1..n {
                let mut at = i;
                while at > 0 && compare(&items[at - 1], &items[at]) == Ordering::Greater {
                    items.swap(at, at - 1);
                    at -= 1;
                }
            }
            return;
        }
        let middle = pivot(items, compare);
        items.swap(0, middle);
        let (less, greater) = partition(items, compare);
        if less > 1 && touches(base, less) {
            part(&mut items[..less], base, wanted, compare);
        }
        if greater <= 1 || !touches(base + n - greater, greater) {
            return;
        }
        base += n - greater;
        items = &mut items[n - greater..];
    }
}

/// Puts what is less than the first element before, what is greater behind it: how many of each there are.
fn partition<T>(items: &mut [T], compare: &mut impl FnMut(&T, &T) -> Ordering) -> (usize, usize) {
    let n = items.len();
    // Equal ones are kept at both ends, at `..a` and `d + 1..`, until the end; `c` and `d` are one further.
    let (mut a, mut b, mut c, mut d) = (1, 1, n, n);
    loop {
        while b < c {
            match compare(&items[b], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(a, b);
                    a += 1;
                }
                Ordering::Less => {}
            }
            b += 1;
        }
        while b < c {
            match compare(&items[c - 1], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(c - 1, d - 1);
                    d -= 1;
                }
                Ordering::Greater => {}
            }
            c -= 1;
        }
        if b >= c {
            break;
        }
        items.swap(b, c - 1);
        b += 1;
        c -= 1;
    }
    let (less, greater) = (b - a, d - c);
    swap_ranges(items, 0, b - a.min(less), a.min(less));
    let moved = greater.min(n - d);
    swap_ranges(items, b, n - moved, moved);
    (less, greater)
}

fn swap_ranges<T>(items: &mut [T], one: usize, other: usize, len: usize) {
    (0..len).for_each(|i| items.swap(one + i, other + i));
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn the_range_is_as_if_all_were_sorted() {
        let mut state = 7_u64;
        for len in [1_usize, 5, 7, 8, 40, 41, 300] {
            let items: Vec<u64> = (0..len)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state >> 33 & 63
                })
                .collect();
            let mut sorted = items.clone();
            sorted.sort_unstable();
            for (from, to) in [(0, len - 1), (0, 0), (len / 2, len / 2), (len / 3, len - 1)] {
                let mut some = items.clone();
                sort(&mut some, from, to, Ord::cmp);
                assert_eq!(some[from..=to], sorted[from..=to], "{len} {from} {to}");
            }
        }
    }
}
