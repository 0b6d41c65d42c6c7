-- The earlier portal's tables, as a careful team had them: every key that a booking asks for is an index, nothing else is.
CREATE TABLE campaigns (
    campaign text PRIMARY KEY,
    is_open boolean NOT NULL
);
CREATE TABLE slots (
    campaign text NOT NULL REFERENCES campaigns,
    slot text NOT NULL,
    quota integer NOT NULL,
    taken integer NOT NULL DEFAULT 0 CHECK (taken <= quota),
    PRIMARY KEY (campaign, slot)
) WITH (fillfactor = 50);  -- a booking changes its slot's row in place
CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    campaign text NOT NULL,
    slot text NOT NULL,
    units integer NOT NULL,
    resident text NOT NULL,
    phone text NOT NULL,
    idempotency_key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (campaign, resident)
);

-- The whole booking in one round trip: what the client-side transaction does in five.
CREATE FUNCTION book(_id uuid, _campaign text, _slot text, _units integer, _resident text, _phone text, _key text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    open boolean;
    free integer;
    before record;
BEGIN
    SELECT is_open INTO open FROM campaigns WHERE campaign = _campaign;
    IF open IS NULL THEN RETURN 'unknown_campaign'; END IF;
    IF NOT open THEN RETURN 'not_open'; END IF;
    SELECT id, idempotency_key INTO before FROM reservations WHERE campaign = _campaign AND resident = _resident;
    IF FOUND THEN
        RETURN CASE WHEN before.idempotency_key = _key THEN before.id::text ELSE 'already_reserved' END;
    END IF;
    SELECT quota - taken INTO free FROM slots WHERE campaign = _campaign AND slot = _slot FOR UPDATE;
    IF free IS NULL THEN RETURN 'unknown_slot'; END IF;
    IF free < _units THEN RETURN 'slot_full'; END IF;
    INSERT INTO reservations (id, campaign, slot, units, resident, phone, idempotency_key)
        VALUES (_id, _campaign, _slot, _units, _resident, _phone, _key);
    UPDATE slots SET taken = taken + _units WHERE campaign = _campaign AND slot = _slot;
    RETURN _id::text;
EXCEPTION WHEN unique_violation THEN
    RETURN 'already_reserved';
END $$;
