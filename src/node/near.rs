//! Memory that will be looked at soon.

/// Begins to read the line of the cache in which a value begins, which may be far away, without waiting for it. Changes
/// nothing.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub fn bring_near<T>(value: &T) {
    safe_arch::prefetch_t0(value);
}

/// Other processors are left to find out by themselves.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub fn bring_near<T>(_value: &T) {}
