//! Who gets no password: everyone who is not ECR, however similar the name.

use stand_in::aws::Aws;

use crate::plugin::Plugin;

const FORM: &str = "the host name has none of the forms of ECR";

/// Host names and the reason that is given.
const STRANGERS: &[(&str, &str)] = &[
    // The Go provider answers the first two with an ECR password (issue 668 there).
    ("registry.k8s.io", FORM),
    (
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
        "`amazonaws.com.evil.example` is not a DNS suffix of AWS for this form of name",
    ),
    ("docker.io", FORM),
    ("ghcr.io", FORM),
    ("localhost:5000", FORM),
    ("10.0.0.1:5000", FORM),
    ("[::1]:5000", FORM),
    ("registry.corp:5000", FORM),
    ("evil.example", FORM),
    ("amazonaws.com", FORM),
    ("dkr.ecr.eu-central-1.amazonaws.com", FORM),
    ("571600876202.dkr.ecr.amazonaws.com", "`amazonaws` is not an AWS region"),
    ("571600876202.ecr.eu-central-1.amazonaws.com", FORM),
    ("571600876202.dkr.ecrx.eu-central-1.amazonaws.com", FORM),
    ("571600876202.dkr.ecr-fipsy.eu-central-1.amazonaws.com", FORM),
    ("571600876202-dkr.ecr.eu-central-1.amazonaws.com", FORM),
    ("57160087620.dkr.ecr.eu-central-1.amazonaws.com", "`57160087620` is not an AWS account of 12 digits"),
    (
        "5716008762022.dkr.ecr.eu-central-1.amazonaws.com",
        "`5716008762022` is not an AWS account of 12 digits",
    ),
    ("57160087620a.dkr.ecr.eu-central-1.amazonaws.com", "`57160087620a` is not an AWS account of 12 digits"),
    ("571600876202.dkr.ecr.eu-central.amazonaws.com", "`eu-central` is not an AWS region"),
    ("571600876202.dkr.ecr.evil.amazonaws.com", "`evil` is not an AWS region"),
    ("x.571600876202.dkr.ecr.eu-central-1.amazonaws.com", FORM),
    (
        "571600876202.dkr.ecr.eu-central-1.amazonaws.co",
        "`amazonaws.co` is not a DNS suffix of AWS for this form of name",
    ),
    (
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com.de",
        "`amazonaws.com.de` is not a DNS suffix of AWS for this form of name",
    ),
    (
        "571600876202.dkr.ecr.eu-central-1.evil-amazonaws.com",
        "`evil-amazonaws.com` is not a DNS suffix of AWS for this form of name",
    ),
    ("571600876202.dkr.ecr.eu-central-1.on.aws", "`on.aws` is not a DNS suffix of AWS for this form of name"),
    (
        "571600876202.dkr-ecr.eu-central-1.amazonaws.com",
        "`amazonaws.com` is not a DNS suffix of AWS for this form of name",
    ),
    (
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com.cn",
        "region `eu-central-1` is of partition aws, which has another DNS suffix",
    ),
    (
        "571600876202.dkr.ecr.cn-north-1.amazonaws.com",
        "region `cn-north-1` is of partition aws-cn, which has another DNS suffix",
    ),
    (
        "571600876202.dkr.ecr.eu-central-1.vpce.amazonaws.com",
        "`vpce.amazonaws.com` is not a DNS suffix of AWS for this form of name",
    ),
    ("xpublic.ecr.aws", FORM),
    ("evil.public.ecr.aws", FORM),
    ("public.ecr.aws.evil.example", FORM),
    ("public-ecr.aws", FORM),
];

#[test]
fn a_stranger_gets_an_empty_answer_and_aws_is_not_asked() {
    let aws = Aws::start();
    for (host, reason) in STRANGERS {
        let bare_host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let bare_host = bare_host.map_or(*host, |(host, _)| host);
        Plugin::with_key(&aws).ask(&format!("{host}/team/app")).answered_nothing(
            "0s",
            &format!(
                "ECRP100 not an ECR registry: `{bare_host}` gets no password: {reason}; nothing to do if this image \
                 needs no ECR password; otherwise correct the host name, or narrow `matchImages`"
            ),
        );
    }
    assert_eq!(aws.seen().len(), 0, "AWS was asked");
}

#[test]
fn a_repository_that_is_called_like_ecr_is_still_a_stranger() {
    let aws = Aws::start();
    for image in [
        "evil.example/571600876202.dkr.ecr.eu-central-1.amazonaws.com/team/app",
        "evil.example/public.ecr.aws/app",
        "571600876202.dkr.ecr.eu-central-1.evil/amazonaws.com",
        "team/571600876202.dkr.ecr.eu-central-1.amazonaws.com",
    ] {
        Plugin::with_key(&aws).ask(image).answered_nothing("0s", "ECRP100 [..]");
    }
    assert_eq!(aws.seen().len(), 0, "AWS was asked");
}
