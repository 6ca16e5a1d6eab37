//! The same work for several things at once.

/// What `act` makes of each item, in their order, however many are worked on at the same time.
#[cfg(feature = "sweep")]
pub(super) fn each<T: Send, R: Send>(items: Vec<T>, threads: usize, act: &(dyn Fn(T) -> R + Sync)) -> Vec<R> {
    use rayon::prelude::*;
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(act).collect();
    }
    items.into_par_iter().map(act).collect()
}

/// The same where there are no threads.
#[cfg(not(feature = "sweep"))]
pub(super) fn each<T: Send, R: Send>(items: Vec<T>, _: usize, act: &(dyn Fn(T) -> R + Sync)) -> Vec<R> {
    items.into_iter().map(act).collect()
}
