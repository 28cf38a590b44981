"""Other names of modules: the one list of ids that mean a module of the catalogue.

Read by `catalogue`. Some ids of the hosted product are documented nowhere; where the public examples differ
or say nothing, the likeliest id is the module's name and the other likely ones stand here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "archive:AggregateArchive": "archive:CreateAggregator",
        "archive:CreateArchive": "archive:CreateAggregator",
        "archive:Gunzip": "archive:Inflate",
        "archive:Gzip": "archive:Deflate",
        "archive:Unpack": "archive:UnpackAction",
        "csv:AggregateToCSV": "csv:CreateAggregator",
        "csv:AggregateToCSVAdvanced": "csv:CreateAdvancedAggregator",
        "csv:CreateAggregatorAdvanced": "csv:CreateAdvancedAggregator",
        "csv:CreateCSV": "csv:CreateAggregator",
        "csv:CreateCSVAdvanced": "csv:CreateAdvancedAggregator",
        "csv:ParseCsv": "csv:ParseCSV",
        "encryptor:AESDecrypt": "encryptor:DecryptAES",
        "encryptor:AESEncrypt": "encryptor:EncryptAES",
        "encryptor:DigitalSignature": "encryptor:CreateDigitalSignature",
        "json:ConvertJSONToXML": "json:ConvertToXML",
        "json:JSONToXML": "json:ConvertToXML",
        "json:TransformToXML": "json:ConvertToXML",
        "markdown:ConvertHTML": "markdown:HTMLToMarkdown",
        "markdown:HTMLtoMarkdown": "markdown:HTMLToMarkdown",
        "math:Evaluate": "math:EvaluateExpression",
        "regexp:GetElements": "regexp:GetElementsFromHTML",
        "regexp:HTMLParser": "regexp:GetElementsFromHTML",
        "util:ConvertEncodingTransformer": "util:ConvertEncoding",
        "util:EncodingConverter": "util:ConvertEncoding",
        "xml:ParseXml": "xml:ParseXML",
        "xml:PerformXPath": "xml:PerformXPathQuery",
        "xml:XPathQuery": "xml:PerformXPathQuery",
    }
)
