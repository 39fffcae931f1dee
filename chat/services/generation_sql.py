"""The statements that begin a reply: one reads what the decision needs, one writes all it makes."""

CONTEXT = """
SELECT s.active_leaf_id, p.id, p.name, p.model,
       coalesce(octet_length(p.description), 0) + coalesce(octet_length(p.personality), 0)
         + coalesce(octet_length(p.scenario), 0) + coalesce(octet_length(p.example_dialogue), 0)
         + coalesce(octet_length(p.system_prompt), 0)
         + coalesce(octet_length(p.post_history_instructions), 0),
       p.lorebook IS NOT NULL,
       p.deleted_at IS NULL AND p.hidden_at IS NULL
         AND (p.owner_id = s.user_id OR (p.visibility <> 'private' AND p.status = 'published')),
       p.rating = 'mature' AND p.owner_id <> s.user_id, u.birth_date, s.has_automatic_title,
       (SELECT count(*) FROM chat_generation f
         WHERE f.user_id = s.user_id AND f.created_at > now() - interval '1 hour'
           AND f.status IN ('stopped', 'failed', 'blocked') AND f.charge = 0),
       g.id, m.id, m.role, m.status, m.depth, m.path_tokens
  FROM chat_chatsession s
  JOIN personas_persona p ON p.id = s.persona_id
  JOIN accounts_user u ON u.id = s.user_id
  LEFT JOIN chat_generation g ON g.session_id = s.id AND g.client_id = %(client_id)s
  LEFT JOIN chat_message m ON m.session_id = s.id
        AND m.id = CASE WHEN %(at_leaf)s THEN s.active_leaf_id ELSE %(parent)s END
 WHERE s.id = %(session)s AND s.user_id = %(user)s AND s.deleted_at IS NULL AND u.is_active
"""

_MOVE_SESSION = """
WITH s AS (
    UPDATE chat_chatsession
       SET active_leaf_id = %(reply)s, message_count = %(reply_depth)s + 1,
           last_message_at = now(), updated_at = now(),
           last_message_preview = coalesce(nullif(%(preview)s, ''), last_message_preview),
           title = CASE WHEN has_automatic_title AND %(title)s <> '' THEN %(title)s ELSE title END,
           has_automatic_title = has_automatic_title AND %(title)s = ''
     WHERE id = %(session)s AND user_id = %(user)s AND deleted_at IS NULL
       AND (NOT %(at_leaf)s OR active_leaf_id IS NOT DISTINCT FROM %(expected_leaf)s)
    RETURNING id
)"""

_NEW_GENERATION = """
g AS (
    INSERT INTO chat_generation (
           id, created_at, session_id, user_id, reply_id, kind, client_id, status, hold_id, model,
           token_price, prompt_budget, max_output_tokens, prefix_status, lease_owner, last_seq, delta_lengths,
           outcome, input_tokens, output_tokens, cached_tokens, charge, code, detail, receipt)
    SELECT %(generation)s, now(), s.id, %(user)s, %(reply)s, %(kind)s, %(client_id)s, 'queued', %(hold)s,
           %(model)s, %(price)s, %(budget)s, %(max_output)s, %(prefix_status)s, '', 0, '{}', '',
           0, 0, 0, 0, '', '', '{}'
      FROM s
)
SELECT now() FROM s"""

_MESSAGE_COLUMNS = """chat_message (
           id, created_at, session_id, user_id, parent_id, role, content, status, depth, path_tokens,
           client_id, search, code, feedback, model, input_tokens, output_tokens, cached_tokens, charge)"""

_REPLY_ROW = """
    SELECT %(reply)s::uuid, now(), s.id, %(user)s, %(reply_parent)s::uuid, 'assistant', '', 'pending',
           %(reply_depth)s, %(path_tokens)s, NULL, NULL::tsvector, '', 'none', '', 0, 0, 0, 0 FROM s"""

# The user's message, its empty reply, the generation and the session's new end, in one statement.
INSERT_EXCHANGE = f"""{_MOVE_SESSION},
m AS (
    INSERT INTO {_MESSAGE_COLUMNS}
    SELECT %(message)s::uuid, now(), s.id, %(user)s, %(parent)s::uuid, 'user', %(content)s, 'complete',
           %(message_depth)s, %(path_tokens)s, %(client_id)s, to_tsvector('simple', %(content)s),
           '', 'none', '', 0, 0, 0, 0 FROM s
    UNION ALL{_REPLY_ROW}
),{_NEW_GENERATION}"""  # noqa: S608 - put together of literals

# Another reply to a message that is there.
INSERT_ANSWER = f"""{_MOVE_SESSION},
m AS (
    INSERT INTO {_MESSAGE_COLUMNS}{_REPLY_ROW}
),{_NEW_GENERATION}"""

# More of a reply that ended too soon, as long as nothing was said after it.
INSERT_CONTINUATION = f"""
WITH s AS (
    UPDATE chat_chatsession SET last_message_at = now(), updated_at = now()
     WHERE id = %(session)s AND user_id = %(user)s AND deleted_at IS NULL
       AND NOT EXISTS (SELECT FROM chat_message c WHERE c.parent_id = %(reply)s)
    RETURNING id
), m AS (
    UPDATE chat_message SET status = 'pending', search = NULL
      FROM s WHERE chat_message.id = %(reply)s AND chat_message.session_id = s.id
       AND chat_message.status = %(prefix_status)s
),{_NEW_GENERATION}"""  # noqa: S608 - put together of literals
