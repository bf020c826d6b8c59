-- A minute stored again after its analysis is to be analysed again: each analysis says which version of the chain it saw.

ALTER TABLE gex_summary ADD COLUMN chain_version integer CHECK (chain_version >= 0);
