import assert from "node:assert/strict";
import { readS3Page } from "./s3_listing.ts";

const object = (key: string) =>
  `<Contents>
    <Key>${key}</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified>
    <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>7</Size>
    <StorageClass>STANDARD</StorageClass>
  </Contents>`;

function page(contents: string, truncated: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>photos</Name><IsTruncated>${truncated}</IsTruncated>${contents}</ListBucketResult>`;
}

Deno.test("readS3Page() reads names with signs that XML writes otherwise", () => {
  const keys = [
    "a b/c+d",
    "&lt;x&gt; &amp;amp; &apos;y&apos;",
    "tab&#9;&#x1F600;",
    "",
    "&nbsp;&;&#x110000;",
  ];
  const read = readS3Page(page(keys.map(object).join("\n"), "true"));
  assert.equal(read?.truncated, true);
  assert.deepEqual(
    read?.objects.map(({ name }) => name),
    ["a b/c+d", "<x> &amp; 'y'", "tab\t\u{1f600}", "", "&nbsp;&;&#x110000;"],
  );
  assert.deepEqual(read?.objects[0], {
    ...{ name: "a b/c+d", sizeBytes: 7, etag: '"d41d8cd98f00b204e9800998ecf8427e"' },
    modifiedAt: new Date("2026-11-21T10:00:00Z"),
  });
});

Deno.test("readS3Page() reads the last page and an empty one", () => {
  const nothing = { objects: [], truncated: false, token: null };
  assert.deepEqual(readS3Page(page("", "false")), nothing);
  assert.deepEqual(readS3Page(`${page("", "false")}\n`), nothing);
  const token = "<NextContinuationToken>1/a&amp;b==</NextContinuationToken>";
  assert.equal(readS3Page(page(token, "true"))?.token, "1/a&b==");
});

Deno.test("readS3Page() takes a listing that was cut off for none, wherever it was cut", () => {
  const whole = page(object("a") + object("b"), "false");
  for (let length = 0; length < whole.length; length++) {
    assert.equal(readS3Page(whole.slice(0, length)), null, whole.slice(0, length));
  }
  for (const truncated of ["", "maybe", "TRUE"]) {
    assert.equal(readS3Page(page(object("a"), truncated)), null, truncated);
  }
  assert.equal(readS3Page("<ListBucketResult></ListBucketResult>"), null);
});

Deno.test("readS3Page() takes no other document for a listing, and no object without a size or a name", () => {
  assert.equal(readS3Page("<html>sign in</html>"), null);
  assert.equal(readS3Page(""), null);
  assert.equal(readS3Page(page(object("a").replace("<Size>7</Size>", ""), "false")), null);
  assert.equal(readS3Page(page(object("a").replace("<Key>a</Key>", ""), "false")), null);
});

Deno.test("readS3Page() takes no listing with a time that cannot be read", () => {
  for (const time of ["garbage", "2026-11-21T10:00:00", ""]) {
    const text = object("a").replace("2026-11-21T10:00:00.000Z", time);
    assert.equal(readS3Page(page(text, "false")), null, time);
  }
});

Deno.test("readS3Page() reads no further than a text without ends goes", () => {
  // What a server sends must not cost the square of its length: these would take hours.
  for (const text of ["<ListBucketResult>", "<Contents>", "<Contents><Key>", "<IsTruncated>"]) {
    assert.equal(readS3Page(text.repeat(1_000_000)), null, text);
    const inside = readS3Page(page(text.repeat(500_000), "false"));
    assert.equal(inside === null, text.startsWith("<Contents>"), text);
  }
});
