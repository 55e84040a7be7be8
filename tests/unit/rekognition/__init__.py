"""The local Rekognition, part by part and through real clients."""
