"""Gives rocrate-validator 0.13.0 the terms of RO-Crate 1.1 that an archive uses, so that it validates without a network.

Usage: crate_context.py CACHE, which writes CACHE.sqlite as the validator's own HTTP cache. The terms are the ones of
<https://w3id.org/ro/crate/1.1/context>; a term that an archive uses and that is not here fails as not defined.
"""

import io
import json
import sys

from requests import Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

SCHEMA, BIOSCHEMAS, DCTERMS = "http://schema.org/", "https://bioschemas.org/", "http://purl.org/dc/terms/"
OF_SCHEMA = """
about actionStatus additionalType ComputerLanguage contentSize CreateAction CreativeWork Dataset datePublished description
encodingFormat endTime exampleOfWork hasPart identifier instrument license mainEntity mentions name object programmingLanguage
PropertyValue result SoftwareApplication SoftwareSourceCode softwareRequirements softwareVersion url value version workExample
"""
TERMS = {term: SCHEMA + term for term in OF_SCHEMA.split()} | {
    "File": SCHEMA + "MediaObject",
    "conformsTo": DCTERMS + "conformsTo",
    "ComputationalWorkflow": BIOSCHEMAS + "ComputationalWorkflow",
    "FormalParameter": BIOSCHEMAS + "FormalParameter",
    "input": BIOSCHEMAS + "ComputationalWorkflow#input",
}


class Local(BaseAdapter):
    """Answers every request with the terms."""

    def send(self, request, **_):
        body = json.dumps({"@context": TERMS}).encode()
        response = Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = HTTPResponse(
            body=io.BytesIO(body), headers=response.headers, status=200, preload_content=False
        )
        return response

    def close(self):
        pass


session = CachedSession(
    cache_name=sys.argv[1], expire_after=-1, backend="sqlite", allowable_methods=("GET",), allowable_codes=(200, 302, 404)
)
session.mount("https://", Local())
assert session.get("https://w3id.org/ro/crate/1.1/context").ok
