import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { S3Emulator } from "../../../src/testing/s3/index.ts";
import { fileOfPackages } from "../../support/debian-packages.ts";

// Debian's boto3: a client in another language, over HTTPS.

const folder = mkdtempSync(join(tmpdir(), "envelock-s3-"));
const emulator = await S3Emulator.start({ https: true });
emulator.createBucket("boto");
afterAll(async () => {
  await emulator.close();
  rmSync(folder, { recursive: true });
});

test("boto3: objects, ranges, conditions, transfers by parts, copies, lists, versions, presigned URLs and errors", async () => {
  fileOfPackages(["/usr/lib/python3/dist-packages/boto3/__init__.py"], ["python3-boto3"]);
  const [script, ca] = [join(folder, "client.py"), join(folder, "ca.pem")];
  writeFileSync(script, PYTHON);
  writeFileSync(ca, emulator.ca);
  const { stdout } = await promisify(execFile)("/usr/bin/python3", [script], {
    env: {
      URL: emulator.url,
      CA: ca,
      AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
      AWS_DEFAULT_REGION: "us-east-1",
      AWS_EC2_METADATA_DISABLED: "true",
    },
  });
  expect(JSON.parse(stdout)).toEqual({
    whole: true,
    range: "2345",
    head: [10, { owner: "acme" }, "text/plain"],
    again: ["PreconditionFailed", 412],
    missing: ["NoSuchKey", 404],
    transfer: [20 * 2 ** 20 + 7, true, 3],
    copy: [true, "COPIED"],
    small: ["EntityTooSmall", 400],
    listed: ["a b/\u00fc&<.txt", "big", "copied"],
    prefixes: ["a b/"],
    uploads: 0,
    deleted: ["a b/\u00fc&<.txt", "copied"],
    versions: [2, 1],
    presigned: [200, "by url"],
    tags: [{ Key: "project", Value: "seven" }],
  });
});

const PYTHON = `
import boto3, hashlib, io, json, os, ssl, urllib.request
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"max_attempts": 1})
s3 = boto3.client("s3", endpoint_url=os.environ["URL"], verify=os.environ["CA"], config=config)

def refused(call, **arguments):
    try:
        call(Bucket="boto", **arguments)
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]

out = {}
key = "a b/ü&<.txt"
put = s3.put_object(Bucket="boto", Key=key, Body=b"0123456789", Metadata={"owner": "acme"}, ContentType="text/plain")
out["whole"] = s3.get_object(Bucket="boto", Key=key, IfMatch=put["ETag"])["Body"].read() == b"0123456789"
out["range"] = s3.get_object(Bucket="boto", Key=key, Range="bytes=2-5")["Body"].read().decode()
head = s3.head_object(Bucket="boto", Key=key)
out["head"] = [head["ContentLength"], head["Metadata"], head["ContentType"]]
out["again"] = refused(s3.get_object, Key=key, IfMatch='"other"')
out["missing"] = refused(s3.get_object, Key="none")
data = os.urandom(20 * 2**20 + 7)
parts = TransferConfig(multipart_threshold=2**23, multipart_chunksize=2**23)
s3.upload_fileobj(io.BytesIO(data), "boto", "big", Config=parts)
back = io.BytesIO()
s3.download_fileobj("boto", "big", back, Config=parts)
count = int(s3.head_object(Bucket="boto", Key="big")["ETag"].strip('"').split("-")[1])
out["transfer"] = [len(back.getvalue()), hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(data).digest(), count]
s3.copy({"Bucket": "boto", "Key": "big"}, "boto", "copied", Config=parts, ExtraArgs={"Metadata": {"a": "COPIED"}, "MetadataDirective": "REPLACE"})
copied = s3.get_object(Bucket="boto", Key="copied")
out["copy"] = [copied["Body"].read() == data, copied["Metadata"]["a"]]
upload = s3.create_multipart_upload(Bucket="boto", Key="small")["UploadId"]
tags = [s3.upload_part(Bucket="boto", Key="small", UploadId=upload, PartNumber=n, Body=b"x")["ETag"] for n in (1, 2)]
listed = {"Parts": [{"PartNumber": n + 1, "ETag": tag} for n, tag in enumerate(tags)]}
out["small"] = refused(s3.complete_multipart_upload, Key="small", UploadId=upload, MultipartUpload=listed)
s3.abort_multipart_upload(Bucket="boto", Key="small", UploadId=upload)
pages = s3.get_paginator("list_objects_v2").paginate(Bucket="boto", PaginationConfig={"PageSize": 1})
out["listed"] = [item["Key"] for page in pages for item in page.get("Contents", [])]
out["prefixes"] = [item["Prefix"] for item in s3.list_objects_v2(Bucket="boto", Delimiter="/")["CommonPrefixes"]]
out["uploads"] = len(s3.list_multipart_uploads(Bucket="boto").get("Uploads", []))
gone = s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": key}, {"Key": "copied"}]})
out["deleted"] = sorted(item["Key"] for item in gone["Deleted"])
s3.create_bucket(Bucket="versions")
s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
for body in (b"1", b"2"):
    s3.put_object(Bucket="versions", Key="v", Body=body)
s3.delete_object(Bucket="versions", Key="v")
versions = s3.list_object_versions(Bucket="versions")
out["versions"] = [len(versions["Versions"]), len(versions["DeleteMarkers"])]
url = s3.generate_presigned_url("put_object", Params={"Bucket": "boto", "Key": "by url"})
context = ssl.create_default_context(cafile=os.environ["CA"])
status = urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"), context=context).status
get = s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "by url"})
out["presigned"] = [status, urllib.request.urlopen(get, context=context).read().decode()]
s3.put_object_tagging(Bucket="boto", Key="big", Tagging={"TagSet": [{"Key": "project", "Value": "seven"}]})
out["tags"] = s3.get_object_tagging(Bucket="boto", Key="big")["TagSet"]
print(json.dumps(out))
`;
