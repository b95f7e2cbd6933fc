//! W_cubic(t) = C·(t − K)³ + W_max (RFC 9438 §4.2) in whole numbers: windows in octets, times in 1/1024 s, so that the cube
//! of a time is one of 2⁻³⁰ s³.

use crate::time::Duration;

//= https://www.rfc-editor.org/rfc/rfc9438#section-5.1
//= id=rfc9438-5.1-1
//= https://www.rfc-editor.org/rfc/rfc9438#section-5.1
//= id=rfc9438-5.1-2
//# Therefore, _C_ SHOULD be set to 0.4.
/// C as a fraction, segments a second cubed.
const C: (u64, u64) = (2, 5);

/// The longest time that counts, 34 minutes: its cube fits 63 bits, and with it a window of any size has been passed.
const LONGEST: u64 = 1 << 21;

/// Time on the scale of the curve, rounded down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Ticks(u32);

impl Ticks {
    pub(super) fn of(time: Duration) -> Self {
        let ticks = time.as_micros().saturating_mul(1024) / 1_000_000;
        Self(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// The curve of one congestion avoidance stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Curve {
    w_max: u32,
    k: Ticks,
    mss: u32,
}

impl Curve {
    /// That which leads from `cwnd_epoch` to `w_max`. Where it is there already, K = 0 and it begins with what there is.
    pub(super) fn new(cwnd_epoch: u32, w_max: u32, mss: u32) -> Self {
        let distance = u64::from(w_max.saturating_sub(cwnd_epoch));
        // K³ = (W_max − cwnd_epoch) / C, in 2⁻³⁰ s³. The shift leaves no room for more than 34 bits.
        let cube = (distance << 30) / u64::from(mss.max(1)) * C.1 / C.0;
        Self { w_max: w_max.max(cwnd_epoch), k: Ticks(cube_root(cube)), mss: mss.max(1) }
    }

    /// W_cubic(t), octets.
    pub(super) fn at(&self, t: Ticks) -> u32 {
        let distance = u64::from(t.0.abs_diff(self.k.0)).min(LONGEST);
        // 15 of the 30 bits go first, so that the product fits; what they are worth is less than an octet.
        let cube = (distance * distance * distance) >> 15;
        let octets = (cube.saturating_mul(u64::from(self.mss)) / C.1 * C.0) >> 15;
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        if t < self.k { self.w_max.saturating_sub(octets) } else { self.w_max.saturating_add(octets) }
    }
}

/// The largest whole number whose cube is at most `n`.
fn cube_root(n: u64) -> u32 {
    let mut root = 0u64;
    for bit in (0..22).rev() {
        let next = root | 1 << bit;
        if next.checked_mul(next).and_then(|square| square.checked_mul(next)).is_some_and(|cube| cube <= n) {
            root = next;
        }
    }
    root as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cube_roots() {
        for (n, root) in [(0, 0), (1, 1), (7, 1), (8, 2), (26, 2), (27, 3), (u64::MAX, 2_642_245)] {
            assert_eq!(cube_root(n), root);
        }
    }

    /// By the formula of Figure 2: K = cbrt((W_max − cwnd_epoch) / 0.4), and of Figure 1, computed with
    /// `python3 -c 'k=((a-b)/.4)**(1/3); print(k, [.4*(t-k)**3+a for t in …])'`.
    //= https://www.rfc-editor.org/rfc/rfc9438#section-5.1
    //= type=test
    //= id=rfc9438-5.1-1, rfc9438-5.1-2
    #[test]
    fn vectors_of_figures_1_and_2() {
        for (w_max, cwnd, k, points) in VECTORS {
            let octets = |segments: f64| (segments * 1000.0) as u32;
            let curve = Curve::new(octets(cwnd), octets(w_max), 1000);
            assert!(
                (f64::from(curve.k.0) / 1024.0 - k).abs() < 0.001,
                "K of {w_max} is {k}, not {:?}",
                curve.k
            );
            for (t, w) in points {
                let found = f64::from(curve.at(Ticks::of(Duration::from_secs_f64(t))));
                // A tick, at the steepness that the curve has there, and an octet.
                let steep = 1.2 * (t - k) * (t - k) * 1000.0 / 1024.0;
                assert!(
                    (found - w * 1000.0).abs() <= 2.0 * steep + 2.0,
                    "W({t}) of {w_max} is {w}, not {found}"
                );
            }
        }
    }

    /// W_max, cwnd_epoch, K, and W_cubic at five times.
    type Vector = (f64, f64, f64, [(f64, f64); 5]);

    const VECTORS: [Vector; 4] = [
        (
            100.0,
            70.0,
            4.2172,
            [(0.0, 70.0000), (0.5, 79.4555), (2.0, 95.6403), (10.0, 177.3540), (30.0, 6955.7044)],
        ),
        (
            1000.0,
            700.0,
            9.0856,
            [(0.0, 700.0000), (0.5, 746.8532), (2.0, 857.7047), (10.0, 1000.3058), (30.0, 4659.2833)],
        ),
        (
            10.0,
            7.0,
            1.9574,
            [(0.0, 7.0000), (0.5, 8.7617), (2.0, 10.0000), (10.0, 218.0865), (30.0, 8830.9072)],
        ),
        (
            8333.0,
            5833.1,
            18.4199,
            [(0.0, 5833.1000), (0.5, 6031.1999), (2.0, 6562.1880), (10.0, 8094.2284), (30.0, 8954.1487)],
        ),
    ];

    #[test]
    fn a_stage_that_begins_at_its_maximum_grows_at_once() {
        let curve = Curve::new(20_000, 10_000, 1000);
        assert_eq!((curve.k, curve.w_max), (Ticks(0), 20_000));
        assert_eq!(curve.at(Ticks(0)), 20_000);
        assert_eq!(curve.at(Ticks(1024)), 20_400, "C");
        assert_eq!(curve.at(Ticks(10 * 1024)), 420_000);
    }

    proptest! {
        #[test]
        fn it_never_falls_and_begins_where_it_should(
            cwnd in prop_oneof![0..10_000_000u32, any::<u32>()],
            w_max in prop_oneof![0..10_000_000u32, any::<u32>()],
            mss in 1..65_535u32,
            a in prop_oneof![0..100_000u32, any::<u32>()],
            b in prop_oneof![0..100_000u32, any::<u32>()],
        ) {
            let curve = Curve::new(cwnd, w_max, mss);
            let (early, late) = (a.min(b), a.max(b));
            prop_assert!(curve.at(Ticks(early)) <= curve.at(Ticks(late)));
            prop_assert_eq!(curve.at(curve.k), w_max.max(cwnd));
        }
    }
}
