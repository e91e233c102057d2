/**
 * What names of buckets and regions say of where they are.
 *
 * @module
 */

/** Where Amazon's servers of a region are, by how its name begins; of any other in the first. */
const DOMAINS: readonly (readonly [string, string])[] = [
  ["", "amazonaws.com"],
  ["cn-", "amazonaws.com.cn"],
  ["eusc-", "amazonaws.eu"],
  ["us-iso-", "c2s.ic.gov"],
  ["us-isob-", "sc2s.sgov.gov"],
  ["us-isof-", "csp.hci.ic.gov"],
  ["eu-isoe-", "cloud.adc-e.uk"],
];

/** Amazon's server of a region. */
export function amazonEndpoint(region: string): string {
  const domain = DOMAINS.findLast(([beginning]) => region.startsWith(beginning))![1];
  return `https://s3.${region}.${domain}`;
}

/** Whether it can be a region: any other text could lead to another server. */
export function isRegion(text: string): boolean {
  return /^[A-Za-z0-9-]{1,64}$/.test(text);
}

/** Whether Amazon has another kind of place by this name, which is asked by other hosts and with sessions. */
export function isSpecialBucket(bucket: string): boolean {
  return /--(?:x|xa|op)-s3$/.test(bucket);
}

/** Whether a bucket can be part of a server's name; other names go into the path, as Amazon's client does. */
export function canBeHost(bucket: string, { protocol, hostname }: URL): boolean {
  const isName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) && !bucket.includes("..");
  const isAddress = hostname.startsWith("[") || /^[\d.]+$/.test(hostname);
  // Certificates do not cover names with dots in front of their own.
  return isName && !isAddress && !(protocol === "https:" && bucket.includes("."));
}
