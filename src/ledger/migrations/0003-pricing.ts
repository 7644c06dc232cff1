import { type Kysely, sql } from 'kysely';

/** Receipts, quirks of upstreams, what routes cost us, imported prices, and factors between tokenizers. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // How the charge came about, written once with the commit.
  await sql`ALTER TABLE billing_transaction ADD COLUMN receipt jsonb`.execute(db);
  await sql`ALTER TABLE upstream ADD COLUMN quirks jsonb NOT NULL DEFAULT '{}'`.execute(db);
  await sql`ALTER TABLE route ADD COLUMN cost_rates jsonb`.execute(db);

  // Prices as published by a source that an operator imported, by the provider's own name of the model.
  await sql`
    CREATE TABLE book_price (
      provider          text NOT NULL,
      model             text NOT NULL,
      prices            jsonb NOT NULL,
      max_input_tokens  bigint CHECK (max_input_tokens > 0),
      max_output_tokens bigint CHECK (max_output_tokens > 0),
      source            text NOT NULL,
      updated_at        timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (provider, model)
    )`.execute(db);

  // How many tokens a model counts for one of ours, learned from answers that carried usage.
  await sql`
    CREATE TABLE token_factor (
      model      text NOT NULL,
      side       text NOT NULL CHECK (side IN ('input', 'output')),
      factor_ppm bigint NOT NULL CHECK (factor_ppm > 0),
      samples    bigint NOT NULL CHECK (samples > 0),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (model, side)
    )`.execute(db);

  // Models that only the environment's OpenAI key set up follow the price book from now on: the cards that
  // were stored for them knew no tiers, so longer prompts were refused, and would never change again.
  await sql`
    CREATE TEMPORARY TABLE environment_model AS
    SELECT subject AS name FROM audit_log WHERE action = 'model.put'
    GROUP BY subject HAVING bool_and(actor = 'OPENAI_API_KEY')`.execute(db);
  await sql`
    DELETE FROM rate_card WHERE effective_from = to_timestamp(0)
    AND model IN (SELECT name FROM environment_model)`.execute(db);
  await sql`
    UPDATE model SET max_input_tokens = NULL
    WHERE name IN (SELECT name FROM environment_model)`.execute(db);
  await sql`DROP TABLE environment_model`.execute(db);
}
