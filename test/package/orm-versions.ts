/** The oldest and the newest versions of the ORMs that the adapters' cases pass on: package.json names the oldest as its peers. */
export const ORM_VERSIONS = {
  oldest: {
    kysely: "0.28.0",
    "drizzle-orm": "0.44.0",
    typeorm: "0.3.20",
    "@prisma/client": "6.16.0",
    prisma: "6.16.0",
    "@prisma/adapter-pg": "6.16.0",
    pg: "8.16.0",
  },
  newest: {
    kysely: "0.29.9",
    "drizzle-orm": "0.45.4",
    typeorm: "1.1.1",
    "@prisma/client": "7.10.0",
    prisma: "7.10.1",
    "@prisma/adapter-pg": "7.10.1",
    pg: "8.23.1",
  },
} as const;
