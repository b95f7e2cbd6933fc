use super::*;
use crate::wire::testing::octets;
use alloc::vec;
use etherparse::{TcpOptionElement, TcpOptionsIterator};
use proptest::prelude::*;

fn options() -> impl Strategy<Value = Options> {
    let blocks = proptest::collection::vec(any::<(u32, u32)>(), 0..=4);
    let acc_ecn = proptest::option::of((any::<bool>(), proptest::collection::vec(0u32..1 << 24, 0..=3)));
    let cookie = proptest::collection::vec(any::<u8>(), 0..=16);
    let fast_open =
        proptest::option::of((cookie, any::<bool>()).prop_filter_map("no cookie", |(c, experimental)| {
            Some(FastOpen { cookie: Cookie::new(&c)?, experimental })
        }));
    let plain = any::<(Option<u16>, Option<u8>, bool, Option<(u32, u32)>, Option<u16>)>();
    (plain, blocks, acc_ecn, fast_open).prop_map(
        |((mss, window_scale, sack_permitted, timestamps, user_timeout), blocks, acc_ecn, fast_open)| {
            Options {
                mss,
                window_scale,
                sack_permitted,
                sack: blocks.iter().map(|b| SeqRange::new(Seq::new(b.0), Seq::new(b.1))).collect(),
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                user_timeout,
                acc_ecn: acc_ecn.map(|(ect_1_first, counters)| AccEcn {
                    ect_1_first,
                    counters: counters.into_iter().collect(),
                }),
                fast_open,
                malformed: false,
            }
        },
    )
}

fn emitted(options: &Options) -> Vec<u8> {
    let mut out = vec![0xee];
    options.emit(&mut out);
    out.split_off(1)
}

/// The walk as RFC 9293 §3.1 tells it, index by index.
fn model(bytes: &[u8]) -> Options {
    let cookie = |o: &mut Options, octets: &[u8], experimental| match octets.len() {
        0 | 4 | 6 | 8 | 10 | 12 | 14 | 16 if o.fast_open.is_none() => {
            o.fast_open = Some(FastOpen { cookie: Cookie::new(octets).unwrap(), experimental });
        }
        0 | 4 | 6 | 8 | 10 | 12 | 14 | 16 => {}
        _ => o.malformed = true,
    };
    let word = |i: usize| u32::from_be_bytes(bytes[i..i + 4].try_into().unwrap());
    let half = |i: usize| (word(i - 2) & 0xffff) as u16;
    let mut o = Options::default();
    let mut i = 0;
    while i < bytes.len() && bytes[i] != 0 {
        if bytes[i] == 1 {
            i += 1;
            continue;
        }
        if i + 1 == bytes.len() || bytes[i + 1] < 2 || i + usize::from(bytes[i + 1]) > bytes.len() {
            o.malformed = true;
            return o;
        }
        let at = i + 2;
        match (bytes[i], bytes[i + 1]) {
            (2, 4) => o.mss = o.mss.or(Some(half(at))),
            (3, 3) => o.window_scale = o.window_scale.or(Some(bytes[at])),
            (4, 2) => o.sack_permitted = true,
            (5, len @ (10 | 18 | 26 | 34)) => {
                let blocks = (at..i + usize::from(len)).step_by(8);
                let blocks = blocks.map(|b| SeqRange::new(Seq::new(word(b)), Seq::new(word(b + 4))));
                o.sack = if o.sack.is_empty() { blocks.collect() } else { o.sack };
            }
            (8, 10) => {
                o.timestamps = o.timestamps.or(Some(Timestamps { value: word(at), echo: word(at + 4) }));
            }
            (28, 4) => o.user_timeout = o.user_timeout.or(Some(half(at))),
            (kind @ (172 | 174), len) => {
                let fields = (at..i + usize::from(len)).collect::<Vec<_>>();
                let fields = fields.chunks_exact(3).map(|f| word(f[0] - 1) & 0xff_ffff).take(3);
                let option = AccEcn { ect_1_first: kind == 174, counters: fields.collect() };
                o.acc_ecn = o.acc_ecn.or(Some(option));
            }
            (34, len) => cookie(&mut o, &bytes[at..i + usize::from(len)], false),
            (254, 4..) if bytes[at..at + 2] == [0xf9, 0x89] => {
                cookie(&mut o, &bytes[at + 2..i + usize::from(bytes[i + 1])], true);
            }
            (2 | 3 | 4 | 5 | 8 | 28, _) => o.malformed = true,
            _ => {}
        }
        i += usize::from(bytes[i + 1]);
    }
    o
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(options in options()) {
        let bytes = emitted(&options);
        prop_assert_eq!(bytes.len(), options.emitted_len());
        prop_assert!(bytes.len() <= MAX_OPTIONS_LEN && bytes.len().is_multiple_of(4));
        let mut expected = options.clone();
        expected.sack.truncate(options.max_sack_blocks());
        if !options.fast_open_fits() {
            expected.fast_open = None;
        }
        prop_assert_eq!(&Options::parse(&bytes), &expected);
        // Not one block fewer than fits. The first brings four octets more.
        let left = MAX_OPTIONS_LEN - bytes.len();
        let next = if expected.sack.is_empty() { 12 } else { 8 };
        prop_assert!(expected.sack.len() == options.sack.len() || left < next);
    }

    #[test]
    fn etherparse_reads_what_is_emitted(options in options()) {
        // It stops at kinds that it does not know.
        let options = Options { user_timeout: None, acc_ecn: None, fast_open: None, ..options };
        let (mut theirs, mut blocks) = (Options::default(), vec![]);
        for element in TcpOptionsIterator::from_slice(&emitted(&options)) {
            match element.unwrap() {
                TcpOptionElement::Noop => {}
                TcpOptionElement::MaximumSegmentSize(mss) => theirs.mss = Some(mss),
                TcpOptionElement::WindowScale(shift) => theirs.window_scale = Some(shift),
                TcpOptionElement::SelectiveAcknowledgementPermitted => theirs.sack_permitted = true,
                TcpOptionElement::SelectiveAcknowledgement(first, more) => {
                    blocks.push(first);
                    blocks.extend(more.into_iter().flatten());
                }
                TcpOptionElement::Timestamp(value, echo) => {
                    theirs.timestamps = Some(Timestamps { value, echo });
                }
            }
        }
        theirs.sack = blocks.iter().map(|b| SeqRange::new(Seq::new(b.0), Seq::new(b.1))).collect();
        let mut expected = options.clone();
        expected.sack.truncate(options.max_sack_blocks());
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn the_walk_is_the_plain_one(bytes in octets(60)) {
        prop_assert_eq!(Options::parse(&bytes), model(&bytes));
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= type=test
    //= id=MUST-4
    #[test]
    fn the_walk_is_the_plain_one_among_known_kinds(
        bytes in proptest::collection::vec(
            prop::sample::select(&[0u8, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 10, 10, 18, 26, 28, 34, 172, 174, 254, 0xf9, 0x89][..]), 0..=44
        )
    ) {
        prop_assert_eq!(Options::parse(&bytes), model(&bytes));
    }

    #[test]
    fn the_short_way_is_the_long_one(value: u32, echo: u32) {
        let short = emitted(&Options { timestamps: Some(Timestamps { value, echo }), ..Default::default() });
        prop_assert_eq!(&short[..4], &[1, 1, 8, 10]);
        let long = [&short[..], &[1, 1, 1, 1]].concat();
        prop_assert_eq!(Options::parse(&short), Options::parse(&long));
        prop_assert_eq!(Options::parse(&short), model(&short));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=MUST-68
#[test]
fn layouts() {
    let timestamps = Some(Timestamps { value: 0x0102_0304, echo: 0 });
    let sack = SackBlocks::from_iter([SeqRange::new(Seq::new(1), Seq::new(2))]);
    let syn = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps,
        ..Default::default()
    };
    assert_eq!(emitted(&syn), [2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]);
    assert_eq!(
        emitted(&Options { timestamps: None, ..syn.clone() }),
        [2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]
    );
    assert_eq!(
        emitted(&Options { sack_permitted: false, ..syn.clone() }),
        [2, 4, 5, 0xb4, 1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]
    );
    assert_eq!(
        emitted(&Options { timestamps, sack: sack.clone(), ..Default::default() }),
        [1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2]
    );
    assert_eq!(
        emitted(&Options { sack, user_timeout: Some(0x8005), ..Default::default() }),
        [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 28, 4, 0x80, 5]
    );
    assert_eq!(emitted(&Options::default()), []);
}

fn acc_ecn(ect_1_first: bool, counters: &[u32]) -> Option<AccEcn> {
    Some(AccEcn { ect_1_first, counters: counters.iter().copied().collect() })
}

//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
//= type=test
//# When a Data Receiver sends an AccECN Option, it MUST set the Kind field to 172 if using Order 0, or to 174 if
//# using Order 1.
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
//= type=test
//# The length field MUST indicate which fields are present as follows: Options of each length and order
#[test]
fn accurate_ecn_of_each_length() {
    let bytes = |first, counters: &[u32]| {
        emitted(&Options { acc_ecn: acc_ecn(first, counters), ..Default::default() })
    };
    assert_eq!(bytes(false, &[]), [172, 2, 1, 1]);
    assert_eq!(bytes(true, &[1]), [174, 5, 0, 0, 1, 1, 1, 1]);
    assert_eq!(bytes(false, &[0x01_0203, 4]), [172, 8, 1, 2, 3, 0, 0, 4]);
    assert_eq!(bytes(true, &[1, 0xff_ffff, 3]), [174, 11, 0, 0, 1, 0xff, 0xff, 0xff, 0, 0, 3, 1]);
    let option = acc_ecn(false, &[1, 2, 3]).unwrap();
    assert_eq!((option.ect_0(), option.ce(), option.ect_1()), (Some(1), Some(2), Some(3)));
    let option = acc_ecn(true, &[1, 2]).unwrap();
    assert_eq!((option.ect_0(), option.ce(), option.ect_1()), (None, Some(2), Some(1)));
}

//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
//= type=test
//# All implementations of a Data Sender that read any AccECN Option MUST be able to read AccECN Options of any of
//# the above lengths.
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
//= type=test
//# For forward compatibility, if the AccECN Option is of any other length, implementations MUST use those whole
//# 3-octet fields that fit within the length and ignore the remainder of the option, treating it as padding.
#[test]
fn accurate_ecn_of_odd_lengths() {
    let parsed = |bytes: &[u8]| Options::parse(bytes).acc_ecn;
    assert_eq!(parsed(&[172, 2]), acc_ecn(false, &[]));
    assert_eq!(parsed(&[174, 5, 0, 0, 1]), acc_ecn(true, &[1]));
    assert_eq!(parsed(&[172, 8, 0, 0, 1, 0, 0, 2]), acc_ecn(false, &[1, 2]));
    assert_eq!(parsed(&[172, 11, 0, 0, 1, 0, 0, 2, 0, 0, 3]), acc_ecn(false, &[1, 2, 3]));
    assert_eq!(parsed(&[172, 4, 9, 9]), acc_ecn(false, &[]), "no whole field");
    assert_eq!(parsed(&[172, 6, 0, 0, 1, 9]), acc_ecn(false, &[1]));
    assert_eq!(parsed(&[174, 16, 0, 0, 1, 0, 0, 2, 0, 0, 3, 9, 9, 9, 9, 9]), acc_ecn(true, &[1, 2, 3]));
    assert!(!Options::parse(&[172, 4, 9, 9]).malformed);
}

//= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.1
//= type=test
//= id=rfc7413-4.1.1-2
#[test]
fn fast_open_in_both_its_forms() {
    let option =
        |cookie: &[u8], experimental| Some(FastOpen { cookie: Cookie::new(cookie).unwrap(), experimental });
    let with = |fast_open| Options { fast_open, ..Default::default() };
    assert_eq!(emitted(&with(option(&[], false))), [34, 2, 1, 1]);
    assert_eq!(emitted(&with(option(&[], true))), [254, 4, 0xf9, 0x89]);
    assert_eq!(emitted(&with(option(&[1, 2, 3, 4], false))), [34, 6, 1, 2, 3, 4, 1, 1]);
    assert_eq!(emitted(&with(option(&[1, 2, 3, 4], true))), [254, 8, 0xf9, 0x89, 1, 2, 3, 4]);
    assert_eq!(emitted(&with(option(&[9; 6], false))), [34, 8, 9, 9, 9, 9, 9, 9]);
    let syn = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps::default()),
        ..with(option(&[7; 16], true))
    };
    assert_eq!((emitted(&syn).len(), syn.fast_open_fits()), (40, true));
    let full = Options { user_timeout: Some(1), ..syn };
    assert_eq!((emitted(&full).len(), full.fast_open_fits()), (24, false));
    // A length that cannot be makes it no option, and the next still is one.
    for bad in [
        &[34, 3, 1][..],
        &[34, 4, 1, 2],
        &[34, 7, 1, 2, 3, 4, 5],
        &[34, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        &[254, 6, 0xf9, 0x89, 1, 2],
    ] {
        let bytes = [bad, &[34, 6, 5, 6, 7, 8]].concat();
        let expected = Options { malformed: true, ..with(option(&[5, 6, 7, 8], false)) };
        assert_eq!(Options::parse(&bytes), expected, "{bad:?}");
    }
}

#[test]
fn room_for_sack_blocks() {
    let none = Options::default();
    assert_eq!(none.max_sack_blocks(), 4);
    let stamps = Options { timestamps: Some(Timestamps::default()), ..none.clone() };
    assert_eq!(stamps.max_sack_blocks(), 3);
    assert_eq!(Options { user_timeout: Some(1), ..stamps }.max_sack_blocks(), 2);
    assert_eq!(Options { user_timeout: Some(1), ..none }.max_sack_blocks(), 4);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=MUST-6
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.2
//= type=test
//= id=MUST-64
#[test]
fn unknown_kinds_are_skipped_by_their_length() {
    // MUST-6: an MSS, an authentication, an experiment, then the rest.
    let bytes = [2, 4, 5, 0xb4, 29, 6, 1, 2, 3, 4, 254, 4, 0xf9, 0x88, 4, 2, 1, 3, 3, 9];
    let options = Options::parse(&bytes);
    assert_eq!((options.mss, options.window_scale), (Some(1460), Some(9)));
    assert!(options.sack_permitted && !options.malformed);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=MUST-7
#[test]
fn lengths_that_cannot_be() {
    // MUST-7: what came before stands, what comes after is not looked at.
    for bad in [&[34, 0, 4, 2][..], &[34, 1, 4, 2], &[34, 5, 4, 2], &[8, 10, 4, 2], &[34]] {
        let bytes = [&[3, 3, 9], bad].concat();
        let expected = Options { window_scale: Some(9), malformed: true, ..Default::default() };
        assert_eq!(Options::parse(&bytes), expected, "{bad:?}");
    }
    // A length that is not that of the kind costs this option alone.
    for bad in [&[2, 3, 1][..], &[3, 2], &[4, 3, 0], &[5, 2], &[5, 6, 0, 0, 0, 0], &[8, 3, 0], &[28, 2]] {
        let bytes = [bad, &[3, 3, 9]].concat();
        let expected = Options { window_scale: Some(9), malformed: true, ..Default::default() };
        assert_eq!(Options::parse(&bytes), expected, "{bad:?}");
    }
    let five_blocks = [&[5, 42][..], &[0; 40], &[4, 2]].concat();
    assert!(Options::parse(&five_blocks).sack.is_empty());
    assert!(Options::parse(&five_blocks).sack_permitted);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=MUST-4
#[test]
fn the_first_of_two_counts_and_the_end_ends() {
    let options = Options::parse(&[2, 4, 1, 0, 2, 4, 2, 0, 3, 3, 1, 3, 3, 2, 0, 4, 2]);
    assert_eq!((options.mss, options.window_scale), (Some(256), Some(1)));
    assert!(!options.sack_permitted && !options.malformed);
    let block = |n: u8| [5, 10, 0, 0, 0, n, 0, 0, 0, n + 1];
    let options = Options::parse(&[block(1), block(7)].concat());
    assert_eq!(options.sack[..], [SeqRange::new(Seq::new(1), Seq::new(2))]);
}
