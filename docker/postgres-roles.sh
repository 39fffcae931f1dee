#!/bin/sh
# Run once by the database image: an owner for the schema and, apart from it, the application's role.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$PARLOR_OWNER_PASSWORD" --set app_password="$PARLOR_APP_PASSWORD" \
    --set ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE parlor_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE parlor_app LOGIN PASSWORD :'app_password';
CREATE DATABASE parlor OWNER parlor_owner;
\connect parlor
CREATE EXTENSION IF NOT EXISTS vector;
SQL
