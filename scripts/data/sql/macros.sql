-- What several queries say with one word: identities, draws, text, conversations, comparisons.

-- Identities: sixteen hexadecimal digits of SHA-256. JSON keeps apart what plain concatenation would confuse.
CREATE MACRO short_digest(parts) AS left(sha256(CAST(to_json(parts) AS VARCHAR)), 16);
CREATE MACRO prompt_identity(prompt) AS coalesce(short_digest(prompt), short_digest('null'));
-- Of a pair, the MD5 of its parts' identities: it reads the long texts once, in half of the time of SHA-256.
CREATE MACRO pair_identity(source, prompt_id, chosen, rejected) AS left(
    md5(concat_ws(' ', source, prompt_id, coalesce(md5(chosen), 'null'), coalesce(md5(rejected), 'null'))), 16
);

-- Draws by identity: an order, and a number in [0, 1), that no other row and no layout of files changes.
CREATE MACRO draw(seed, identity) AS sha256(CAST(seed AS VARCHAR) || ':' || identity);
CREATE MACRO uniform(seed, identity) AS CAST('0x' || left(draw(seed, identity), 13) AS BIGINT) / pow(2, 52);

-- By how many percent a number lies above another one; null where there is none.
CREATE MACRO percent_above(measured, printed) AS round(100 * (measured / nullif(printed, 0) - 1), 1);

-- Text. Whole texts are scanned often, so nothing is cut where nothing is to cut; `trim` with a set of characters and
-- `translate` take twice as long as what stands here.
CREATE MACRO is_blank(content) AS NOT regexp_matches(content, '[^ \t\n\r]');
CREATE MACRO has_space_around(content) AS regexp_matches(left(content, 1) || right(content, 1), '[ \t\n\r]');
CREATE MACRO stripped(content) AS
    CASE WHEN has_space_around(content) THEN regexp_replace(content, '^[ \t\n\r]+|[ \t\n\r]+$', '', 'g') ELSE content END;
-- what is left of a text, case and white space aside
CREATE MACRO squeezed(content) AS CASE
    WHEN contains(content, e'\t') OR contains(content, e'\r') OR contains(content, e'\f')
    THEN replace(replace(replace(replace(replace(lower(content), ' ', ''), e'\n', ''), e'\t', ''), e'\r', ''), e'\f', '')
    ELSE replace(replace(lower(content), ' ', ''), e'\n', '')
END;
CREATE MACRO words(content) AS regexp_extract_all(lower(content), '[\p{L}\p{N}]+');

-- Conversations: lists of {role, content}.
CREATE MACRO message(speaker, said) AS {'role': speaker, 'content': said};
CREATE MACRO contents(messages) AS list_transform(messages, lambda turn: turn.content);
CREATE MACRO has_null(items) AS len(list_filter(items, lambda item: item IS NULL)) > 0;
CREATE MACRO has_empty_round(messages) AS len(list_filter(messages, lambda turn: is_blank(turn.content))) > 0;
CREATE MACRO squeezed_messages(messages) AS
    list_transform(messages, lambda turn: message(turn.role, squeezed(turn.content)));
CREATE MACRO questions(messages) AS list_filter(messages, lambda turn: turn.role = 'user');
CREATE MACRO without_system(messages) AS CASE WHEN messages[1].role = 'system' THEN messages[2:] ELSE messages END;
-- user, assistant, user, ... ; the last word is the `final` speaker's
CREATE MACRO alternates(messages, final) AS
    messages[-1].role IS NOT DISTINCT FROM final
    AND len(list_filter(
        messages, lambda turn, i: turn.role IS DISTINCT FROM CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END
    )) = 0;
CREATE MACRO conversation_defect(messages, final) AS CASE
    WHEN messages IS NULL OR has_null(contents(messages)) THEN 'null_value'
    WHEN has_empty_round(messages) THEN 'empty_round'
    WHEN NOT alternates(without_system(messages), final) THEN 'roles_do_not_alternate'
END;

-- A dialogue written as "\n\nHuman: ...\n\nAssistant: ..." (HH-RLHF, Nectar), told turn by turn.
CREATE MACRO opens_with_a_turn(dialogue) AS regexp_matches(dialogue, '^\s*\n\n(Human|Assistant):');
-- what stands before the first of them is no turn
CREATE MACRO turns(dialogue) AS flatten(list_transform(
    string_split(dialogue, e'\n\nHuman:'),
    lambda exchange: list_transform(
        string_split(exchange, e'\n\nAssistant:'),
        lambda said, i: message(CASE i WHEN 1 THEN 'user' ELSE 'assistant' END, stripped(said))
    )
))[2:];

-- Comparisons: {chosen, rejected, chosen_score, rejected_score, defect}.
CREATE MACRO comparison(better, worse, reason) AS {
    'chosen': better.response,
    'rejected': worse.response,
    'chosen_score': CAST(better.score AS DOUBLE),
    'rejected_score': CAST(worse.score AS DOUBLE),
    'defect': CAST(reason AS VARCHAR)
};
CREATE MACRO compared(a, b) AS CASE
    WHEN NOT coalesce(isfinite(a.score) AND isfinite(b.score), false) THEN comparison(a, b, 'null_value')
    WHEN a.score = b.score THEN comparison(a, b, 'equal_score')
    WHEN b.score > a.score THEN comparison(b, a, NULL)
    ELSE comparison(a, b, NULL)
END;
CREATE MACRO number_of_comparisons(responses) AS
    CASE WHEN coalesce(responses, 0) < 2 THEN 1 ELSE responses * (responses - 1) // 2 END;
-- Every two of a prompt's responses {response, score} (App. B.1: "all the possible comparisons"); where there are no
-- two of them, one row that says so, since no row of the source may vanish.
CREATE MACRO comparisons(responses) AS CASE
    WHEN responses IS NULL THEN [comparison({'response': NULL, 'score': NULL}, {'response': NULL, 'score': NULL}, 'null_value')]
    WHEN len(responses) < 2
    THEN [comparison(responses[1], {'response': NULL, 'score': NULL}, 'single_response')]
    ELSE flatten(list_transform(
        responses, lambda a, i: list_transform(responses[i + 1:], lambda b: compared(a, b))
    ))
END;
