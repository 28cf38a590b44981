-- The roles of an installation, made once by a superuser of the server; docs/how-to/deploy.md says when.
--
--   bridge_owner   owns the database and migrates it ('make-bridge migrate')
--   bridge         serves: it owns nothing, and may become the three roles below, which row-level security holds
--
-- Their passwords are set apart from this file. The database itself: CREATE DATABASE bridge OWNER bridge_owner;
CREATE ROLE bridge_directory NOLOGIN NOINHERIT;
CREATE ROLE bridge_app NOLOGIN NOINHERIT;
CREATE ROLE bridge_engine NOLOGIN NOINHERIT;
CREATE ROLE bridge_owner LOGIN CREATEROLE;
CREATE ROLE bridge LOGIN;
GRANT bridge_directory, bridge_app, bridge_engine TO bridge_owner WITH ADMIN OPTION;
GRANT bridge_directory, bridge_app, bridge_engine TO bridge;
