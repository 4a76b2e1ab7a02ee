"""Makes an IAM user who may pull and a role in moto, and from then on has moto check every signature.

Prints the user's access key as JSON. The only argument is the URL of moto.
"""

import json
import sys
import urllib.request

import boto3

url = sys.argv[1]
iam = boto3.client(
    "iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="root", aws_secret_access_key="root"
)


def allow(*actions):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


iam.create_user(UserName="node")
iam.put_user_policy(
    UserName="node", PolicyName="pull", PolicyDocument=allow("ecr:GetAuthorizationToken", "sts:AssumeRole")
)
key = iam.create_access_key(UserName="node")["AccessKey"]
iam.create_role(RoleName="pull", AssumeRolePolicyDocument=allow("sts:AssumeRole"))
iam.put_role_policy(RoleName="pull", PolicyName="pull", PolicyDocument=allow("ecr:GetAuthorizationToken"))

enforce = urllib.request.Request(
    f"{url}/moto-api/reset-auth", data=b"0", method="POST", headers={"content-type": "text/plain"}
)
urllib.request.urlopen(enforce).read()
print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
