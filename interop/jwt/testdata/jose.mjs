// What npm's jose does with access tokens. Each line that comes is a question in JSON, and is answered by one.
// It is an issuer, too: its address is the first line that it writes.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { SignJWT, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';

const keySets = new Map(); // by number
const pairs = new Map(); // by algorithm

const keySet = (number, address) => {
  if (!keySets.has(number)) keySets.set(number, createRemoteJWKSet(new URL(address)));
  return keySets.get(number);
};

const pair = async (alg) => {
  if (!pairs.has(alg)) {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    const jwk = { ...(await exportJWK(publicKey)), kid: `jose-${alg}`, alg, use: 'sig' };
    pairs.set(alg, { privateKey, jwk });
  }
  return pairs.get(alg);
};

const answers = {
  async verify({ set, keys, issuer, audience, algorithm, token }) {
    const { payload } = await jwtVerify(token, keySet(set, keys), { issuer, audience, typ: 'at+jwt', algorithms: [algorithm] });
    return { claims: payload };
  },
  async sign({ algorithm, claims }) {
    const { privateKey, jwk } = await pair(algorithm);
    return { token: await new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: 'at+jwt', kid: jwk.kid }).sign(privateKey) };
  },
};

const issuer = createServer((request, response) => {
  const documents = {
    '/.well-known/oauth-authorization-server': () => ({ issuer: address, jwks_uri: `${address}/keys`, response_types_supported: ['code'] }),
    '/keys': () => ({ keys: [...pairs.values()].map(({ jwk }) => jwk) }),
  };
  const document = documents[request.url];
  response.writeHead(document ? 200 : 404, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(document ? document() : {}));
});
let address;
issuer.listen(0, '127.0.0.1', () => {
  address = `http://127.0.0.1:${issuer.address().port}`;
  console.log(JSON.stringify({ issuer: address }));
});

for await (const line of createInterface({ input: process.stdin })) {
  const { name, ...question } = JSON.parse(line);
  try {
    console.log(JSON.stringify(await answers[name](question)));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error.code}: ${error.message}` }));
  }
}
process.exit();
