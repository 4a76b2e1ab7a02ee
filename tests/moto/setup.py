"""Makes an IAM user who may pull and a role in moto, and from then on has moto check every signature.

Prints the user's access key as JSON, and the tag that the AWS CLI would find in each repository. The only argument
is the URL of moto.
"""

import hashlib
import json
import sys
import time
import urllib.request

import boto3
import jmespath

url = sys.argv[1]
iam = boto3.client(
    "iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="root", aws_secret_access_key="root"
)


def allow(*actions):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


iam.create_user(UserName="node")
iam.put_user_policy(
    UserName="node",
    PolicyName="pull",
    PolicyDocument=allow("ecr:GetAuthorizationToken", "ecr:DescribeImages", "sts:AssumeRole"),
)
key = iam.create_access_key(UserName="node")["AccessKey"]
iam.create_role(RoleName="pull", AssumeRolePolicyDocument=allow("sts:AssumeRole"))
iam.put_role_policy(RoleName="pull", PolicyName="pull", PolicyDocument=allow("ecr:GetAuthorizationToken"))

ecr = boto3.client(
    "ecr", endpoint_url=url, region_name="eu-central-1", aws_access_key_id="root", aws_secret_access_key="root"
)
DIGEST = hashlib.sha256(b"image").hexdigest()


def push(repository, tags):
    ecr.create_repository(repositoryName=repository)
    for tag in tags:
        # A push is of a second; the last one has to be of a later one.
        while tag == tags[-1] and int(time.time()) == second:
            time.sleep(0.05)
        manifest = json.dumps({"mediaType": "application/vnd.oci.image.manifest.v1+json", "annotations": {"tag": tag}})
        ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
        second = int(time.time())


def newest_by_aws_cli(repository):
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
    images = [image | {"imagePushedAt": image["imagePushedAt"].isoformat()} for image in pages.search("imageDetails")]
    return jmespath.search("sort_by(imageDetails,&imagePushedAt)[-1].imageTags[0]", {"imageDetails": images})


# More than a page of AWS has; moto describes all of them at once.
push("many", [f"1.0.{n}" for n in range(150)])
push("signed", ["2.0.0", f"sha256-{DIGEST}.sig"])
newest = {repository: newest_by_aws_cli(repository) for repository in ("many", "signed")}

enforce = urllib.request.Request(
    f"{url}/moto-api/reset-auth", data=b"0", method="POST", headers={"content-type": "text/plain"}
)
urllib.request.urlopen(enforce).read()
print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"], "newest": newest}))
