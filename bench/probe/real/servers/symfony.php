<?php
// Symfony's RateLimiter; the environment has POLICY, LIMIT, INTERVAL, AMOUNT and the
// folders of the classes and of the cache.
spl_autoload_register(function (string $class): void {
    $file = getenv('CLASSES') . '/' . strtr($class, ['\\' => '/']) . '.php';
    foreach ([$file, str_replace('/Psr/Container/', '/Psr/Container/', $file)] as $f) {
        if (is_file($f)) {
            require $f;
            return;
        }
    }
});
foreach (glob(getenv('CLASSES') . '/Symfony/Contracts/Deprecation/function.php') as $f) {
    require $f;
}
error_reporting(E_ALL & ~E_DEPRECATED);
use Symfony\Component\Cache\Adapter\FilesystemAdapter;
use Symfony\Component\RateLimiter\RateLimiterFactory;
use Symfony\Component\RateLimiter\Storage\CacheStorage;

$config = ['id' => 'all', 'policy' => getenv('POLICY'), 'limit' => (int) getenv('LIMIT')];
if (getenv('POLICY') === 'token_bucket') {
    $config['rate'] = ['interval' => getenv('INTERVAL'), 'amount' => (int) getenv('AMOUNT')];
} else {
    $config['interval'] = getenv('INTERVAL');
}
$factory = new RateLimiterFactory($config, new CacheStorage(new FilesystemAdapter('limits', 0, getenv('STATE'))));
http_response_code($factory->create('all')->consume(1)->isAccepted() ? 200 : 429);
header('Content-Type: text/plain');
echo 'ok';
