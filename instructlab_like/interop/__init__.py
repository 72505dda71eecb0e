"""Flows of other tools: read with their places, understood block by block, written as flows and templates of ours."""
