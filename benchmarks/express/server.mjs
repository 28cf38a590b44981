// The peer of the gateway benchmark: Express, http-proxy-middleware and jsonwebtoken, given the same guarantees as
// our gateway: a token is verified, its id is durably used up in PostgreSQL, and only then the request goes on.
import http from "node:http";
import express from "express";
import { createProxyMiddleware } from "http-proxy-middleware";
import jwt from "jsonwebtoken";
import pg from "pg";

const { PORT, TARGET, SECRET, DATABASE } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE, max: 16 });
await pool.query("CREATE TABLE IF NOT EXISTS peer_used_tokens (jti text PRIMARY KEY, expires timestamptz NOT NULL)");

const app = express();
app.disable("x-powered-by");
app.get("/ready", (_request, response) => response.json({}));
app.use(async (request, response, next) => {
  try {
    const token = (request.headers.authorization ?? "").slice("Bearer ".length);
    const claims = jwt.verify(token, SECRET, { algorithms: ["HS256"] });
    const used = await pool.query(
      "INSERT INTO peer_used_tokens (jti, expires) VALUES ($1, to_timestamp($2)) ON CONFLICT DO NOTHING",
      [claims.jti, claims.exp],
    );
    if (used.rowCount !== 1) {
      response.status(401).json({ message: "used" });
      return;
    }
    request.headers["x-customer"] = claims.sub;
    next();
  } catch {
    response.status(401).json({ message: "refused" });
  }
});
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
app.use(createProxyMiddleware({ target: TARGET, agent, changeOrigin: false }));
app.listen(Number(PORT), "127.0.0.1");
