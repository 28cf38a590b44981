/**
 * An integrator's backend, as small as it can be: a session, and a proxy that signs for its user.
 *
 * Started by test_express_sample.py. It does on the wire what the Bridge sample for Express does: `/login` signs a
 * made-up user in, `/proxy/<rest>` goes to `<zone>/portal/<rest>` with a fresh token in place of the browser's
 * credentials, and a stranger is turned away without the zone being asked. ZONE_URL, KEY_ID, SECRET_KEY and PORT come
 * from the environment.
 */

import { randomUUID } from "node:crypto";
import express from "express";
import proxy from "express-http-proxy";
import session from "express-session";
import jwt from "jsonwebtoken";

const { ZONE_URL, KEY_ID, SECRET_KEY, PORT } = process.env;

function tokenFor(userId) {
  const claims = { sub: userId, jti: randomUUID() };
  return jwt.sign(claims, SECRET_KEY, { algorithm: "HS256", keyid: KEY_ID, expiresIn: "2m" });
}

function signedInOnly(request, response, next) {
  if (request.session.userId) return next();
  return response.status(401).json({ error: "Sign in first." });
}

const toZone = proxy(ZONE_URL, {
  proxyReqPathResolver: (request) => `/portal${request.url}`,
  proxyReqOptDecorator: (options, request) => {
    options.headers.authorization = `Bearer ${tokenFor(request.session.userId)}`;
    return options;
  },
});

const app = express();
app.use(session({ secret: randomUUID(), resave: false, saveUninitialized: false }));
app.get("/login", (request, response) => {
  request.session.userId = "fakeUserId";
  response.json({ userId: request.session.userId });
});
app.use("/proxy", signedInOnly, toZone);
app.listen(Number(PORT), "127.0.0.1");
