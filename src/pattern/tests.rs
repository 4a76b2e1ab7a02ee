use super::*;
use proptest::prelude::*;

const ECR: &str = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn image(text: &str) -> ImageReference {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn matches_what_the_kubelet_matches() {
    let ecr = format!("{ECR}/softwareimprovementgroup/sigrid-api");
    let rows = [
        ("*.dkr.ecr.*.amazonaws.com", ecr.as_str()),
        ("571600876202.dkr.ecr.eu-central-1.amazonaws.com", &ecr),
        ("*.*.*.*.*.*", &ecr),
        ("*.d*r.*cr.eu-*-*.ama*on***s.com", &ecr),
        ("*.dkr.ecr.*.amazonaws.com/softwareimprovementgroup/", &ecr),
        ("*.dkr.ecr.*.amazonaws.com/software", &ecr),
        ("*.dkr.ecr.*.amazonaws.com/s%6fftware", &ecr),
        ("*.dkr.ecr.*.amazonaws.com:/?x=[#y", &ecr),
        ("user:pass@*.dkr.ecr.*.amazonaws.com", &ecr),
        ("*.dkr-ecr*.*.on.aws", "1234.dkr-ecr-fips.us-east-1.on.aws/a"),
        ("registry.corp:5000", "registry.corp:5000/a:v1"),
        ("docker.io/library/", "nginx:1"),
        ("[::1]:5000", "[::1]:5000/a"),
        ("*", "[::1]/a"),
    ];
    for (text, target) in rows {
        assert_eq!(pattern(text).matches(&image(target)), Ok(()), "{text} {target}");
    }
}

#[test]
fn says_why_an_image_is_missed() {
    let ecr = format!("{ECR}/team/app");
    let labels = |pattern: &str, image: &str| Miss::Label { pattern: pattern.into(), image: image.into() };
    let ports = |pattern: Option<&str>, image: Option<&str>| Miss::Port {
        pattern: pattern.map(str::to_owned),
        image: image.map(str::to_owned),
    };
    let rows = [
        (
            "*.dkr.ecr.*.amazonaws.com",
            "1.dkr.ecr.cn-north-1.amazonaws.com.cn/a",
            Miss::LabelCount { pattern: 6, image: 7 },
        ),
        ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr-fips.us-east-1.amazonaws.com/a", labels("ecr", "ecr-fips")),
        ("*.dkr.ECR.*.amazonaws.com", &ecr, labels("ECR", "ecr")),
        ("ab*ba.corp", "aba.corp/x", labels("ab*ba", "aba")),
        ("*.dkr.ecr.*.amazonaws.com", &format!("{ECR}:443/a"), ports(None, Some("443"))),
        ("*.dkr.ecr.*.amazonaws.com:443", &ecr, ports(Some("443"), None)),
        ("r.corp:5000", "r.corp:5001/a", ports(Some("5000"), Some("5001"))),
        ("*.dkr.ecr.*.amazonaws.com/*", &ecr, Miss::Path { pattern: "/*".into(), image: "/team/app".into() }),
        ("*.dkr.ecr.*.amazonaws.com/", ECR, Miss::Path { pattern: "/".into(), image: String::new() }),
        ("[::1]", "[::1]/a", labels("[::1]", "[::1]")),
        ("https://r.corp", "r.corp/a", Miss::LabelCount { pattern: 1, image: 2 }),
    ];
    for (text, target, miss) in rows {
        assert_eq!(pattern(text).matches(&image(target)), Err(miss), "{text} {target}");
    }
}

#[test]
fn refuses_what_ends_the_kubelet() {
    use PatternError as E;
    let rows = [
        ("a\n.corp", E::ControlCharacter),
        ("r.corp:*", E::Port("*".into())),
        ("r.corp:443:5000", E::Port("443:5000".into())),
        ("[ab].corp", E::Bracket),
        ("a[b]", E::Bracket),
        ("[::1", E::Bracket),
        ("[1.2.3.4]", E::Bracket),
        ("[::1]a", E::Port("a".into())),
        ("a b", E::HostCharacter(' ')),
        ("a\\*", E::HostCharacter('\\')),
        ("{a,b}.corp", E::HostCharacter('{')),
        ("ä%zz@r.corp", E::UserCharacter('ä')),
        ("a%2a.corp", E::Escape("%2a".into())),
        ("r.corp/%zz", E::Escape("%zz".into())),
        ("r.corp/%+1", E::Escape("%+1".into())),
        ("r.corp/%4", E::Escape("%4".into())),
        ("r.corp#%", E::Escape("%".into())),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<Pattern>(), Err(error), "{text}");
    }
}

#[test]
fn knows_the_traps_that_the_kubelet_accepts() {
    let rows = [
        ("https://r.corp", Some(Trap::Scheme)),
        ("r?.corp", Some(Trap::Ignored("?.corp".into()))),
        ("r.corp/*", Some(Trap::StarInPath("/*".into()))),
        ("r.corp/a:1", Some(Trap::TagInPath("/a:1".into()))),
        ("r.corp/a@sha256", Some(Trap::TagInPath("/a@sha256".into()))),
        ("[::1]", Some(Trap::AddressWithoutPort)),
        ("[::1]:5000", None),
        ("*.dkr.ecr.*.amazonaws.com/team/", None),
    ];
    for (text, trap) in rows {
        assert_eq!(pattern(text).trap(), trap, "{text}");
    }
}

#[test]
fn names_the_nearest_pattern() {
    let patterns = [
        "public.ecr.aws",
        "*.dkr-ecr.*.on.aws",
        "*.dkr.ecr.*.amazonaws.com",
        "*.dkr.ecr.*.amazonaws.com.cn",
        "*.dkr.ecr.*.amazonaws.com/team-a/",
    ]
    .map(pattern);
    let rows = [
        ("1.dkr.ecr.us-east-1.amazonaws.com:443/a", "*.dkr.ecr.*.amazonaws.com"),
        ("1.dkr.ecr-fips.us-east-1.amazonaws.com/a", "*.dkr.ecr.*.amazonaws.com"),
        ("1.dkr.ecr.us-east-1.amazonaws.com/team-b/a", "*.dkr.ecr.*.amazonaws.com/team-a/"),
        ("1.dkr.ecr.cn-north-1.amazonaws.com.cn:443/a", "*.dkr.ecr.*.amazonaws.com.cn"),
        ("1.dkr-ecr-fips.us-east-1.on.aws/a", "*.dkr-ecr.*.on.aws"),
        ("ecr-public.aws.com/a", "public.ecr.aws"),
    ];
    for (text, expected) in rows {
        let (found, _) = nearest(&patterns, &image(text)).expect("one that does not match");
        assert_eq!(found.as_str(), expected, "{text}");
    }
    assert_eq!(nearest(&[], &image("a.b/c")), None);
    assert_eq!(nearest([&pattern("a.b")], &image("a.b/c")), None);
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,60}|[a-z0-9.:/@%?#*\\[\\]-]{0,60}", target in "[a-b]\\.[a-b]{1,2}(:8)?/[a-b]{1,4}") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            let _ = pattern.matches(&image(&target));
            let _ = pattern.trap();
        }
    }

    /// The stand-in's kubelet was written without this module in view.
    #[test]
    fn agrees_with_the_kubelet_of_the_tests(
        text in "[ab*]{1,4}(\\.[ab*]{1,4}){0,2}(:[12]{1,2})?(/[ab*/]{0,3})?",
        target in "[ab]{1,4}(\\.[ab]{1,4}){1,2}(:[12]{1,2})?(/[ab]{1,3}){1,2}",
    ) {
        let (ours, theirs) = (pattern(&text).matches(&image(&target)), stand_in::kubelet::matches(&text, &target));
        prop_assert_eq!(ours.is_ok(), theirs, "{} {} {:?}", text, target, ours);
    }
}

#[test]
fn patterns_cover_and_overlap_each_other() {
    let rows = [
        ("*.corp", "a.corp", true, true),
        ("a.corp", "*.corp", false, true),
        ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.*.amazonaws.com", true, true),
        ("a*.corp", "*a.corp", false, true),
        ("a*c.corp", "a*b*c.corp", true, true),
        ("a*b.corp", "*c.corp", false, false),
        ("*.corp", "a.b.corp", false, false),
        ("*.corp:5000", "a.corp", false, false),
        ("a.corp", "a.corp/team", true, true),
        ("a.corp/team", "a.corp", false, true),
        ("a.corp/team", "a.corp/other", false, false),
    ];
    for (one, other, covers, overlaps) in rows {
        let (one, other) = (pattern(one), pattern(other));
        assert_eq!((one.covers(&other), one.overlaps(&other)), (covers, overlaps), "{one} {other}");
        assert_eq!(other.overlaps(&one), overlaps, "{other} {one}");
    }
}

proptest! {
    /// What a pattern covers it matches, and what both match lets them overlap.
    #[test]
    fn covering_and_overlapping_are_about_images(
        one in "[a*]{1,4}(\\.[a*]{1,2})?(/[ab]{0,2})?",
        other in "[a*]{1,4}(\\.[a*]{1,2})?(/[ab]{0,2})?",
        host in "[ab]{1,4}(\\.a)?",
        repository in "[ab]{1,3}",
    ) {
        let image: Result<ImageReference, _> = format!("{host}.a/{repository}").parse();
        let (one, other) = (pattern(&one.replacen('/', ".a/", 1)), pattern(&other.replacen('/', ".a/", 1)));
        if let Ok(image) = image {
            let (by_one, by_other) = (one.matches(&image).is_ok(), other.matches(&image).is_ok());
            prop_assert!(!(one.covers(&other) && by_other) || by_one, "{one} {other} {image}");
            prop_assert!(!(by_one && by_other) || one.overlaps(&other), "{one} {other} {image}");
        }
    }
}
