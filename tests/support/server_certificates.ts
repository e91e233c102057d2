/**
 * TLS for a PostgreSQL server of a test or a measurement.
 *
 * @module
 */

/**
 * Gives the server a certificate for 127.0.0.1 of an authority made here, which it shows once it is started again.
 *
 * @param dataDirectory of a server
 * @returns the authority's file
 * @throws {Error} with what openssl said
 */
export async function makeCertificates(dataDirectory: string): Promise<string> {
  const openssl = async (...args: string[]) => {
    const output = await new Deno.Command("openssl", { args, cwd: dataDirectory }).output();
    if (!output.success) throw new Error(new TextDecoder().decode(output.stderr));
  };
  await openssl(...`req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority
    -keyout authority.key -out authority.pem`.split(/\s+/));
  await openssl(...`req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key
    -out server.csr`.split(/\s+/));
  await Deno.writeTextFile(`${dataDirectory}/names`, "subjectAltName=IP:127.0.0.1\n");
  await openssl(...`x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial
    -days 2 -extfile names -out server.crt`.split(/\s+/));
  const owner = await Deno.stat(`${dataDirectory}/PG_VERSION`);
  for (const name of ["server.key", "server.crt"]) {
    const path = `${dataDirectory}/${name}`;
    await Deno.chmod(path, 0o600);
    if (owner.uid !== null) await Deno.chown(path, owner.uid, owner.gid);
  }
  await Deno.writeTextFile(`${dataDirectory}/postgresql.conf`, "\nssl = on\n", { append: true });
  return `${dataDirectory}/authority.pem`;
}
